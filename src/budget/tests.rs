//! Tests of the budget.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

#[tokio::test(start_paused = true)]
async fn the_bytes_kept_for_growth_serve_one_body_at_a_time() {
    let budget = Budget::new(100, 30);
    let mut first = budget.try_claim(20, Use::Bodies).unwrap();
    let mut second = budget.try_claim(20, Use::Bodies).unwrap();
    assert_eq!(budget.try_claim(1, Use::Bodies).unwrap_err(), Denied::Full);

    first.grow(30, soon()).await.unwrap();
    assert_eq!(budget.used_total(), 70);
    assert_eq!(second.grow(1, soon()).await, Err(Denied::Full));

    drop(first);
    second.grow(30, soon()).await.unwrap();
    assert_eq!(second.bytes(), 50);
    drop(second);
    assert_eq!(budget.used_total(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_could_never_fit_is_told_apart_from_what_does_not_fit_now() {
    let budget = Budget::new(100, 20);
    assert_eq!(
        budget.claim(61, Use::Bodies, soon()).await.unwrap_err(),
        Denied::NeverFits
    );
    let mut permit = budget.try_claim(60, Use::Bodies).unwrap();
    assert_eq!(permit.grow(41, soon()).await, Err(Denied::NeverFits));
    assert_eq!(
        budget.claim(1, Use::Bodies, soon()).await.unwrap_err(),
        Denied::Full
    );
}

#[tokio::test(start_paused = true)]
async fn what_fits_the_empty_budget_can_be_grown_to() {
    for (more, expected) in [(89, Ok(())), (90, Ok(())), (91, Err(Denied::NeverFits))] {
        let budget = Budget::new(100, 25);
        let mut body = budget.try_claim(10, Use::Bodies).unwrap();
        assert_eq!(body.grow(more, soon()).await, expected, "{more}");
        drop(body);
        assert_eq!(budget.used_total(), 0);
        // Nothing of any kind is left behind.
        let mut next = budget.try_claim(50, Use::Bodies).unwrap();
        next.grow(50, soon()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_on_the_way_keeps_the_books() {
    let budget = Budget::new(100, 20);
    let mut body = budget.try_claim(10, Use::Bodies).unwrap();
    let queued = budget.try_claim(45, Use::Queues).unwrap();
    assert_eq!(body.grow(46, soon()).await, Err(Denied::Full));
    assert_eq!(budget.used(Use::Bodies), body.bytes());
    drop(body);
    drop(queued);
    assert_eq!(budget.used_total(), 0);
    assert!(budget.try_claim(60, Use::Bodies).is_ok());
}

#[tokio::test(start_paused = true)]
async fn bodies_that_hold_all_shared_bytes_finish_one_after_the_other() {
    // Given six bodies that have taken all shared bytes and all need to grow by as many again.
    let budget = Budget::new(100, 20);
    let bodies = (0..6).map(|_| budget.try_claim(10, Use::Bodies).unwrap());
    let finishing = bodies.map(|mut body| async move {
        body.grow(20, soon()).await?;
        body.settle(soon()).await?;
        // And is delivered.
        drop(body);
        Ok::<(), Denied>(())
    });
    let finishing: Vec<_> = finishing.collect();
    // When they do, then each comes to its turn.
    let mut all = tokio::task::JoinSet::new();
    for body in finishing {
        all.spawn(body);
    }
    while let Some(finished) = all.join_next().await {
        assert_eq!(finished.unwrap(), Ok(()));
    }
    assert_eq!(budget.used_total(), 0);
}

#[tokio::test(start_paused = true)]
async fn settling_frees_the_growth_for_the_next_body() {
    // Given a body that grew out of what is kept for that, while others hold all shared bytes.
    let budget = Budget::new(100, 20);
    let _others = budget.try_claim(40, Use::Queues).unwrap();
    let mut first = budget.try_claim(10, Use::Bodies).unwrap();
    let mut second = budget.try_claim(10, Use::Bodies).unwrap();
    first.grow(20, soon()).await.unwrap();
    // When it settles, the next can grow; but not settle as long as the first is not gone.
    first.settle(soon()).await.unwrap();
    second.grow(20, soon()).await.unwrap();
    assert_eq!(budget.used_total(), 100);
    assert_eq!(second.settle(soon()).await, Err(Denied::Full));
    drop(first);
    second.settle(soon()).await.unwrap();
    assert_eq!(second.bytes(), 30);
}

#[test]
fn shrinking_and_reassigning_keep_the_books() {
    let budget = Budget::new(100, 10);
    let mut permit = budget.try_claim(50, Use::Bodies).unwrap();
    permit.shrink_to(20);
    permit.assign(Use::Queues);
    assert_eq!(
        (budget.used(Use::Bodies), budget.used(Use::Queues)),
        (0, 20)
    );
    drop(permit);
    assert_eq!(budget.used_total(), 0);
    assert!(budget.try_claim(80, Use::Windows).is_ok());
}
