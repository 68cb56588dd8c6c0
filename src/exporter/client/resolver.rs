//! Names become addresses, anew for each connection and in random order, so that every address of a name is used.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use crate::exporter::backoff::Dice;

/// What resolves names.
#[derive(Clone, Default)]
pub enum Resolver {
    /// The operating system.
    #[default]
    System,
    /// Whoever starts the relay: tests.
    Given(Lookup),
}

/// Resolves one name.
pub type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// A name has no address, as far as the resolver knows.
#[derive(Debug)]
pub(super) struct Unresolved(io::Error);

/// A resolver as the HTTP client uses it.
#[derive(Clone, Debug)]
pub(super) struct Shuffled(pub(super) Resolver);

impl Service<Name> for Shuffled {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unresolved>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.0.clone();
        Box::pin(async move {
            let looked_up = resolver.look_up(name.as_str()).await;
            let mut addresses = looked_up.map_err(Unresolved)?;
            shuffle(&mut addresses, &mut Dice::new());
            Ok(addresses.into_iter())
        })
    }
}

impl Resolver {
    async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        // The port is the endpoint's; the HTTP client sets it.
        match self {
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            Self::Given(lookup) => {
                let addresses = lookup(name)?;
                Ok(addresses.into_iter().map(|ip| (ip, 0).into()).collect())
            }
        }
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Unresolved {}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Given(_) => "Given",
        })
    }
}

/// Fisher-Yates.
fn shuffle<T>(items: &mut [T], dice: &mut Dice) {
    for last in (1..items.len()).rev() {
        items.swap(last, dice.below(last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_comes_up_and_nothing_is_lost() {
        let mut dice = Dice::loaded(7);
        let mut orders = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut items = [1, 2, 3];
            shuffle(&mut items, &mut dice);
            orders.insert(items);
        }
        assert_eq!(orders.len(), 6);
    }
}
