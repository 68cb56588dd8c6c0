//! A panic while one request is handled ends that request, not the connection or the process.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

/// The future panicked; its message went to the panic hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

/// Catches the panics of `future`. What it shares with others is behind locks that no code path poisons, or in permits
/// that return on drop: hence it is safe to go on. Borrowed, as in `Room::wait`: half the size.
pub(super) async fn catch_unwinding<F: Future>(
    mut future: Pin<&mut F>,
) -> Result<F::Output, Panicked> {
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(_payload) => Poll::Ready(Err(Panicked)),
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_result() {
        assert_eq!(catch_unwinding(pin!(async { 7 })).await, Ok(7));
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("this panic is part of a test");
        };
        assert_eq!(
            catch_unwinding(pin!(panicking)).await,
            Err::<(), _>(Panicked)
        );
    }
}
