//! A destination that knows which span came how often.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use crate::support::fake_backend::{Answer, FakeBackend};

/// Between two looks at what has come. The records of requests are kept no longer than this.
const LOOK: Duration = Duration::from_millis(50);

/// A destination whose spans are numbers, as [`crate::support::generate::span`] gives them.
pub(crate) struct Witness {
    backend: Arc<Mutex<Option<FakeBackend>>>,
    address: SocketAddr,
    seen: Arc<Mutex<HashMap<u64, u32>>>,
    _taking_down: JoinSet<()>,
}

impl Witness {
    pub(crate) async fn start() -> Self {
        let backend = FakeBackend::start().await;
        let address = backend.address();
        let backend = Arc::new(Mutex::new(Some(backend)));
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let mut taking_down = JoinSet::new();
        let (from, to) = (Arc::clone(&backend), Arc::clone(&seen));
        taking_down.spawn(async move {
            loop {
                take_down(&from, &to);
                sleep(LOOK).await;
            }
        });
        Self {
            backend,
            address,
            seen,
            _taking_down: taking_down,
        }
    }

    /// The lines of a configuration that make it the only destination; `more` are settings of it, each with a comma before
    /// it.
    pub(crate) fn as_destination(&self, more: &str) -> String {
        let address = self.address;
        format!("destinations:\n  jaeger: {{ endpoint: \"http://{address}\"{more} }}\n")
    }

    /// Answers every request so from now on.
    pub(crate) fn answer(&self, answer: Answer) {
        let backend = self.backend.lock().unwrap();
        backend.as_ref().expect("it is not cut off").answer(answer);
    }

    /// Closes its port and every connection.
    pub(crate) fn cut(&self) {
        take_down(&self.backend, &self.seen);
        drop(self.backend.lock().unwrap().take());
    }

    /// Opens its port again, and takes everything.
    pub(crate) async fn restore(&self) {
        let backend = FakeBackend::start_at(self.address).await;
        *self.backend.lock().unwrap() = Some(backend);
    }

    /// How often each span came.
    pub(crate) fn seen(&self) -> HashMap<u64, u32> {
        take_down(&self.backend, &self.seen);
        self.seen.lock().unwrap().clone()
    }
}

fn take_down(from: &Mutex<Option<FakeBackend>>, to: &Mutex<HashMap<u64, u32>>) {
    let Some(taken) = from.lock().unwrap().as_ref().map(FakeBackend::take_records) else {
        return;
    };
    let spans = taken
        .into_iter()
        .flat_map(crate::support::fake_backend::spans);
    let mut seen = to.lock().unwrap();
    for span in spans {
        let number = u64::from_be_bytes(span.span_id[..].try_into().unwrap()) - 1;
        *seen.entry(number).or_default() += 1;
    }
}
