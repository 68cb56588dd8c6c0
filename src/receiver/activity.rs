//! Whether a connection is in use, and when it should be closed because it is not.
//!
//! No clock and no I/O: the times are arguments.

use std::{
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
    /// Requests that are not answered.
    under_way: usize,
    /// Since when nothing is under way.
    idle_since: Instant,
    /// Since when the head of a request has been arriving, where that is known.
    head_since: Option<Instant>,
}

/// One request of the connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Arc<Activity>,
}

/// How long a connection without a request may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the first byte of a head until it is whole.
    pub(super) head: Duration,
    /// From the last answer to the next request.
    pub(super) idle: Duration,
}

impl Activity {
    /// A connection that opened at `now`; `head` says that a head has begun to arrive.
    pub(super) fn new(now: Instant, head: bool) -> Arc<Self> {
        let state = State {
            under_way: 0,
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

    /// When the connection is to be closed if nothing happens; `None` while a request is under way.
    pub(super) fn closes_at(&self, patience: Patience) -> Option<Instant> {
        let state = self.lock();
        if state.under_way > 0 {
            return None;
        }
        Some(match state.head_since {
            Some(since) => since + patience.head,
            None => state.idle_since + patience.idle,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code path panics while it looks at the activity")
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        state.under_way -= 1;
        state.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(10),
        idle: Duration::from_mins(1),
    };

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
