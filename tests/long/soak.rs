//! Steady load with a fault every thirty seconds: memory and descriptors stay where they are, and the ledger is exact (acceptance
//! case A99, shortened to ten minutes).

use std::{collections::BTreeMap, time::Duration};

use prost::Message;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    load::{
        Load, Offer, Over, Sender, Told, assert_only_told, invented, missing, spans,
        taken_or_refused,
    },
    relay::{Launch, RSS_BESIDE_BYTES, Relay, STORE_BYTES},
    support::{fake_backend::Answer, generate::request},
    witness::Witness,
};

const LASTS: Duration = Duration::from_mins(10);
const FAULT_EVERY: Duration = Duration::from_secs(30);
/// Long enough to fill a queue, short enough to drain before the next.
const FAULT_LASTS: Duration = Duration::from_secs(8);
const BUDGET_BYTES: u64 = 64 << 20;
/// Senders, each a request of so many spans, with a pause: some 2,000 spans a second.
const OFFER: Offer = Offer {
    senders: 8,
    spans: 50,
    pause: Duration::from_millis(190),
    series: 0,
};
/// The case allows a MiB an hour, which in ten minutes is less than what an allocator moves by itself: it keeps what an
/// outage filled. Of the looks in the first third and in the last, the least is compared.
const RSS_RISE_MAX: u64 = 32 << 20;
const DESCRIPTORS_RISE_MAX: usize = 4;

/// What goes wrong, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The destination's port is closed, and every connection to it.
    Cut,
    /// It takes requests and does not answer.
    Mute,
    /// It says that it is overloaded.
    Refuses,
    /// It is slow.
    Slow,
    /// A hundred clients begin requests and do not go on.
    SlowClients,
    /// Rubbish on every port.
    BadBytes,
    /// The policies change, and change back.
    Reload,
    /// A configuration with a mistake.
    BadReload,
    /// The process stands still for two seconds.
    Frozen,
    /// A destination resets every request.
    Resets,
}

const FAULTS: [Fault; 10] = [
    Fault::Cut,
    Fault::SlowClients,
    Fault::Mute,
    Fault::BadBytes,
    Fault::Refuses,
    Fault::Reload,
    Fault::Slow,
    Fault::BadReload,
    Fault::Resets,
    Fault::Frozen,
];

/// One look.
#[derive(Clone, Copy, Debug)]
struct Look {
    rss: u64,
    descriptors: usize,
}

fn settings(witness: &Witness) -> String {
    format!(
        "budget: {{ bytes: {}MiB }}\nreceivers: {{ header_timeout: 3s, body_timeout: 3s }}\nsampling: {{ policy_file: policies.yaml }}\n{}",
        BUDGET_BYTES >> 20,
        witness.as_destination(", timeout: 2s, spans_in_flight_max: 4096")
    )
}

impl Fault {
    async fn happen(self, relay: &Relay, witness: &Witness) {
        let good = settings(witness);
        match self {
            Self::Cut => {
                witness.cut();
                sleep(FAULT_LASTS).await;
                witness.restore().await;
            }
            Self::Mute => answering(witness, Answer::Mute).await,
            Self::Refuses => {
                answering(witness, Answer::Grpc(tonic::Code::Unavailable, None)).await;
            }
            Self::Slow => answering(witness, Answer::TakeAfter(Duration::from_secs(1))).await,
            Self::Resets => answering(witness, Answer::Reset(h2::Reason::INTERNAL_ERROR)).await,
            Self::SlowClients => half_sent(relay, b"POST /v1/traces HTTP/1.1\r\ncontent-le").await,
            Self::BadBytes => half_sent(relay, &[0xff; 4096]).await,
            Self::Reload => {
                relay.write(
                    "policies.yaml",
                    "services: { nobody: { sample_fraction: 0.5 } }\n",
                );
                sleep(FAULT_LASTS).await;
                relay.write("policies.yaml", "default: { sample_fraction: 1 }\n");
            }
            Self::BadReload => {
                relay.write("otlp-relay.yaml", "queue: { bytes_max: much }\n");
                sleep(FAULT_LASTS).await;
                let name = "otlp_relay_config_last_reload_successful";
                assert!(relay.metric(name, "").await < 0.5, "it is noticed");
                relay.write("otlp-relay.yaml", &good);
            }
            Self::Frozen => {
                relay.signal("STOP");
                sleep(Duration::from_secs(2)).await;
                relay.signal("CONT");
            }
        }
    }
}

async fn answering(witness: &Witness, answer: Answer) {
    witness.answer(answer);
    sleep(FAULT_LASTS).await;
    witness.answer(Answer::Take);
}

/// A hundred clients that say this and wait to be closed, one part of them after the other.
async fn half_sent(relay: &Relay, bytes: &[u8]) {
    let end = Instant::now() + FAULT_LASTS;
    while Instant::now() < end {
        let mut open = Vec::new();
        for port in relay.ports().repeat(50) {
            let mut socket = TcpStream::connect(port).await.unwrap();
            // It may have been closed by then.
            drop(socket.write_all(bytes).await);
            open.push(socket);
        }
        sleep(FAULT_LASTS / 2).await;
    }
}

impl Look {
    fn at(relay: &Relay) -> Self {
        Self {
            rss: relay.rss(),
            descriptors: relay.descriptors(),
        }
    }

    /// The least of each.
    fn least(of: &[Self]) -> Self {
        Self {
            rss: of.iter().map(|one| one.rss).min().unwrap(),
            descriptors: of.iter().map(|one| one.descriptors).min().unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a99_ten_minutes_of_faults_leave_memory_and_descriptors_as_they_were() {
    let witness = Witness::start().await;
    let launch = Launch::new("soak", &settings(&witness));
    let policies = launch.folder().join("policies.yaml");
    std::fs::write(policies, "default: { sample_fraction: 1 }\n").unwrap();
    let mut relay = launch.start().await;
    let load = Load::start(&relay, OFFER);
    let looks = live_through(&mut relay, &witness).await;
    let sent = load.stop().await;
    let ledger = relay.until_settled().await;
    let rss_max = relay.rss_max();
    println!("RSS at most {} MiB\n{ledger:?}", rss_max >> 20);

    assert_only_told(&sent, taken_or_refused);
    let all = spans(&sent, |_| true);
    assert_eq!(ledger.received, all, "every span is in the books");
    assert_eq!(ledger.accepted, spans(&sent, |told| *told == Told::Taken));
    assert_eq!((ledger.exported(), ledger.lost()), (ledger.accepted, 0));
    let seen = witness.seen();
    assert_eq!(missing(&sent, &seen), []);
    assert_eq!(invented(&sent, &seen), 0);
    let twice = seen.values().filter(|&&times| times > 1).count();
    println!("{twice} spans came more than once");
    assert!(rss_max <= BUDGET_BYTES + STORE_BYTES + RSS_BESIDE_BYTES);
    let third = looks.len() / 3;
    let first = Look::least(&looks[..third]);
    let last = Look::least(&looks[looks.len() - third..]);
    println!("at least {first:?} in the first third, {last:?} in the last");
    assert!(last.rss <= first.rss + RSS_RISE_MAX);
    assert!(last.descriptors <= first.descriptors + DESCRIPTORS_RISE_MAX);

    let body = request("load", 1 << 62, 10).encode_to_vec();
    let told = Sender::new(Over::Http, relay.http())
        .send(body.into())
        .await;
    assert_eq!(told, Told::Taken, "a fresh span passes");
    relay.until_settled().await;
    assert!(relay.stop().await.status.success());
}

/// One fault after the other, and a look at what is left of each.
async fn live_through(relay: &mut Relay, witness: &Witness) -> Vec<Look> {
    let started = Instant::now();
    let mut looks = Vec::new();
    let mut happened = BTreeMap::<Fault, u32>::new();
    for fault in FAULTS.into_iter().cycle() {
        if started.elapsed() >= LASTS {
            break;
        }
        let next = Instant::now() + FAULT_EVERY;
        fault.happen(relay, witness).await;
        *happened.entry(fault).or_default() += 1;
        sleep_until(next).await;
        relay.assert_running();
        let ledger = relay.ledger().await;
        let found = Look::at(relay);
        println!(
            "{:>4} s, {fault:?}: {} KiB, {} descriptors, {} spans held, {} exported",
            started.elapsed().as_secs(),
            found.rss >> 10,
            found.descriptors,
            ledger.held(),
            ledger.exported()
        );
        looks.push(found);
    }
    println!("{happened:?}");
    looks
}
