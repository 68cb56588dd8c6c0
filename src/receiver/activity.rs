//! Whether a connection is in use, and when it should be closed because it is not.
//!
//! No clock and no I/O: the times are arguments.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// What happens on one connection.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Whether more of the newest request may arrive. It says something where one request follows the other, as on HTTP/1.
    unread: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Requests that have no answer yet.
    under_way: usize,
    /// Since when answers wait to be sent, the oldest first.
    unsent: VecDeque<Instant>,
    /// Since when nothing is under way.
    idle_since: Instant,
    /// Since when the head of a request has been arriving, where that is known.
    head_since: Option<Instant>,
}

/// One request of the connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Arc<Activity>,
    /// Since when its answer waits to be sent.
    unsent_since: Option<Instant>,
}

/// How long a connection may last that is not used as it should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the first byte of a head until it is whole.
    pub(super) head: Duration,
    /// From an answer until it is sent.
    pub(super) answer: Duration,
    /// From the last answer to the next request.
    pub(super) idle: Duration,
}

impl Activity {
    /// A connection that opened at `now`; `head` says that a head has begun to arrive.
    pub(super) fn new(now: Instant, head: bool) -> Arc<Self> {
        let state = State {
            under_way: 0,
            unsent: VecDeque::new(),
            idle_since: now,
            head_since: head.then_some(now),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            unread: AtomicBool::new(false),
        })
    }

    /// A request's head is whole; `has_body` says whether a body follows.
    pub(super) fn begin(self: &Arc<Self>, has_body: bool) -> Busy {
        self.unread.store(has_body, Ordering::Relaxed);
        let mut state = self.lock();
        state.under_way += 1;
        state.head_since = None;
        Busy {
            activity: Arc::clone(self),
            unsent_since: None,
        }
    }

    /// Bytes arrived: between two requests of HTTP/1 they begin a head.
    pub(super) fn bytes_arrived(&self, now: Instant) {
        let mut state = self.lock();
        if state.under_way == 0 && state.head_since.is_none() {
            state.head_since = Some(now);
        }
    }

    /// A request's body has been read to its end.
    pub(super) fn body_ended(&self) {
        self.unread.store(false, Ordering::Relaxed);
    }

    /// Whether the newest request was answered before all of it was read.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// When the connection is to be closed if nothing happens; `None` while a request is under way and every answer is sent.
    pub(super) fn closes_at(&self, patience: Patience) -> Option<Instant> {
        let state = self.lock();
        let unsent = state.unsent.front().map(|&since| since + patience.answer);
        let unused = (state.under_way == 0).then(|| match state.head_since {
            Some(since) => since + patience.head,
            None => state.idle_since + patience.idle,
        });
        unsent.into_iter().chain(unused).min()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code path panics while it looks at the activity")
    }
}

impl Busy {
    /// The request has its answer, which is to be sent from `now` on.
    pub(super) fn answered(&mut self, now: Instant) {
        let mut state = self.activity.lock();
        state.under_way -= 1;
        state.idle_since = now;
        state.unsent.push_back(now);
        self.unsent_since = Some(now);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        match self.unsent_since {
            None => {
                state.under_way -= 1;
                state.idle_since = Instant::now();
            }
            Some(since) => {
                // Answers of the same moment are as good as each other.
                let place = state.unsent.iter().position(|&other| other == since);
                state.unsent.remove(place.expect("it was put there"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(10),
        answer: Duration::from_secs(30),
        idle: Duration::from_mins(1),
    };

    #[tokio::test]
    async fn the_oldest_answer_that_is_not_sent_closes_the_connection() {
        let start = Instant::now();
        let activity = Activity::new(start, false);
        let second = Duration::from_secs(1);
        let _under_way = activity.begin(false);
        let mut answers: Vec<_> = (0..3).map(|_| activity.begin(false)).collect();
        assert_eq!(activity.closes_at(PATIENCE), None);
        for (answer, after) in answers.iter_mut().zip([0, 1, 1]) {
            answer.answered(start + after * second);
        }
        // Although another request is under way, and in whatever order the answers leave.
        let closes_at = start + PATIENCE.answer;
        assert_eq!(activity.closes_at(PATIENCE), Some(closes_at));
        drop(answers.pop());
        assert_eq!(activity.closes_at(PATIENCE), Some(closes_at));
        drop(answers.remove(0));
        assert_eq!(activity.closes_at(PATIENCE), Some(closes_at + second));
        drop(answers);
        assert_eq!(activity.closes_at(PATIENCE), None);
    }

    #[tokio::test]
    async fn a_body_is_unread_until_it_has_ended() {
        let activity = Activity::new(Instant::now(), true);
        assert!(!activity.is_unread(), "nothing was announced");
        drop(activity.begin(true));
        assert!(activity.is_unread(), "refused in the middle");
        let _busy = activity.begin(true);
        activity.body_ended();
        assert!(!activity.is_unread());
        drop(activity.begin(false));
        assert!(!activity.is_unread(), "there was no body");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_less_time_than_an_idle_connection() {
        let start = Instant::now();
        let activity = Activity::new(start, false);
        assert_eq!(activity.closes_at(PATIENCE), Some(start + PATIENCE.idle));

        let head_at = start + Duration::from_secs(5);
        activity.bytes_arrived(head_at);
        activity.bytes_arrived(head_at + Duration::from_secs(3));
        assert_eq!(activity.closes_at(PATIENCE), Some(head_at + PATIENCE.head));

        let busy = activity.begin(true);
        assert_eq!(activity.closes_at(PATIENCE), None);
        activity.bytes_arrived(head_at);
        tokio::time::advance(Duration::from_secs(30)).await;
        drop(busy);
        let end = start + Duration::from_secs(30);
        assert_eq!(activity.closes_at(PATIENCE), Some(end + PATIENCE.idle));
    }
}
