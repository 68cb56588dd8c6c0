//! The store as the destination of a relay that has no other: takes parcels from its queue as an exporter would.
//!
//! It is always up and refuses nothing; what the shelf lets go is no loss.

use std::sync::Arc;

use super::Store;
use crate::{
    metrics::{Fate, Metrics},
    queue::{Queue, Ready},
};

/// The name of the store as a destination.
pub const DESTINATION: &str = "store";

/// Takes what comes into `queue` until it is closed and empty.
pub async fn consume(store: Store, queue: Arc<Queue>, metrics: Metrics) {
    metrics.destination_up(DESTINATION, true);
    while queue.ready().await == Ready::Parcels {
        while let Some(parcel) = queue.try_pop() {
            store.deliver(&parcel.segments).await;
            metrics.sent(DESTINATION, parcel.spans, parcel.bytes);
            metrics.delivered(DESTINATION, parcel.accepted_at().elapsed());
            if let Some(sample) = parcel.sample() {
                store.answered(sample, queue.name(), "delivered");
            }
            parcel.settle(Fate::Exported);
        }
    }
}
