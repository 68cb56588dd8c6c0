//! The SDKs that the relay's users have, as they use them: with room in the relay, while it waits for room, and while it
//! refuses.
//!
//! Each client runs with its SDK's defaults and with gzip, each against a relay and a destination of its own, so that the
//! ledger is about this client alone; several run beside each other.

/// What the clients make, and whether it arrived.
mod expected;
/// One client, one relay, one destination.
mod play;
/// How much a client sends.
mod scales;
/// Which clients there are.
pub(crate) mod table;

use std::rc::Rc;

use tokio::{
    sync::Semaphore,
    task::{JoinSet, LocalSet},
};

use self::{
    play::{Play, Room},
    table::CLIENTS,
};

/// At once: most of them wait most of the time, and on two cores no client may miss its deadline of 10 s.
const PLAYS_MAX: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a65_all_spans_of_every_sdk_arrive_equal() {
    play_all(Room::Enough).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a66_while_the_relay_waits_for_room_no_sdk_loses_anything() {
    play_all(Room::Late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a66_while_the_relay_refuses_nothing_is_missing_but_what_was_refused_for_good() {
    play_all(Room::Refused).await;
}

/// Runs every client both ways; says of each that failed what went wrong, and fails after the last.
async fn play_all(room: Room) {
    let turns = Rc::new(Semaphore::new(PLAYS_MAX));
    let mut plays = JoinSet::new();
    let local = LocalSet::new();
    for client in CLIENTS {
        for gzip in [false, true] {
            let turns = Rc::clone(&turns);
            let play = async move {
                let _turn = turns.acquire().await.unwrap();
                Play { client, gzip, room }.run().await;
            };
            plays.spawn_local_on(play, &local);
        }
    }
    let mut failed = 0;
    local
        .run_until(async {
            while let Some(played) = plays.join_next().await {
                failed += u32::from(played.is_err()); // its panic is printed already
            }
        })
        .await;
    assert_eq!(
        failed,
        0,
        "of {} plays failed, see above",
        2 * CLIENTS.len()
    );
}
