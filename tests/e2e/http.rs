//! GET and JSON over HTTP/1.1, for admin ports and Jaeger's query API.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::DeserializeOwned;

/// One server, and the connections to it that are kept for the next request.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    address: SocketAddr,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Http {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { address, client }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The answer, or nothing when there is none yet.
    pub(crate) async fn get(&self, path: &str) -> Option<(StatusCode, Bytes)> {
        let uri: Uri = format!("http://{}{path}", self.address).parse().unwrap();
        let response = self.client.get(uri).await.ok()?;
        let status = response.status();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, body))
    }

    /// A successful answer's document.
    pub(crate) async fn json<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, body) = self
            .get(path)
            .await
            .unwrap_or_else(|| panic!("{} does not answer", self.address));
        assert!(status.is_success(), "{path}: {status} {body:?}");
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body:?}"))
    }

    /// The sum over a metric's series that carry all of `labels`, written as in the text format: `stage="lost"`.
    /// A series comes into being with its first event, so none is 0.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let (status, body) = self.get("/metrics").await.expect("it answers");
        assert!(status.is_success(), "/metrics: {status}");
        let text = String::from_utf8(body.to_vec()).unwrap();
        text.lines()
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let (own, own_labels) = series.split_once('{').unwrap_or((series, ""));
                let fits = own == name && labels.iter().all(|label| own_labels.contains(label));
                fits.then(|| value.parse::<f64>().unwrap())
            })
            .sum()
    }
}
