//! A collection of a Qdrant server or cluster, through its REST interface: one point for each galaxy, its row as identifier,
//! its embeddings as vectors named by their kind. The server says which rows are near; how near they are is computed from the
//! embedding files, so that answers are the same numbers whoever finds them.

use std::sync::Arc;
use std::time::Duration;

use ndarray::{Array2, ArrayView1};
use serde_json::{Value, json};
use ureq::Agent;

use super::{Searchable, ranked};
use crate::base::error::{Error, Result};
use crate::evaluation::knn::{Admits, has_direction, unit_query};
use crate::files::embeddings::VectorLookup;
use crate::survey::Modality;

/// Longest time for a request; building its index, a server may be slow.
const LONGEST: Duration = Duration::from_secs(120);
/// Bytes of the largest answer.
const MOST: u64 = 64 << 20;
/// Rows that a request may list.
const MOST_LISTED: usize = 20_000;
/// Rows that are asked for at most where a filter lets in few of many.
const MOST_ASKED: usize = 100_000;
/// Rows that are asked for besides those that are wanted: the server ranks by rounded numbers.
const BESIDES: usize = 16;
/// Environment variable with the server's key, where it asks for one.
const KEY: &str = "ASTROCLIP_QDRANT_KEY";
/// What the point of the first row says of the embedding files.
const SOURCE: &str = "astroclip_embeddings";

/// A collection.
#[derive(Debug, Clone)]
pub struct Collection {
    /// `http://HOST:PORT/collections/NAME`.
    url: String,
    agent: Agent,
}

/// Embeddings of one kind in a collection.
pub(super) struct CollectedVectors {
    collection: Arc<Collection>,
    of: Modality,
    vectors: VectorLookup,
    /// Rows without a direction, sorted.
    undirected: Vec<usize>,
    is_exact: bool,
}

impl Collection {
    /// The collection at `http://HOST:PORT/NAME`.
    ///
    /// # Errors
    /// Where it is no such address.
    pub fn at(address: &str) -> Result<Self> {
        let refuse = || {
            Error::input(format!(
                "qdrant={address}: expected http://HOST:PORT/COLLECTION (https takes a tunnel or proxy), letters, digits, \
                 `-` and `_` in the name of the collection"
            ))
        };
        let (host, name) = (address.strip_prefix("http://"))
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(refuse)?;
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if host.is_empty() || name.is_empty() || !name.chars().all(is_plain) {
            return Err(refuse());
        }
        let config = Agent::config_builder()
            .timeout_global(Some(LONGEST))
            .http_status_as_error(false)
            .build();
        Ok(Self {
            url: format!("http://{host}/collections/{name}"),
            agent: config.into(),
        })
    }

    /// Makes the collection, which must not exist, for embeddings of some widths.
    ///
    /// # Errors
    /// Where the server cannot be reached or refuses.
    pub(super) fn create(&self, widths: &[(Modality, usize)]) -> Result<()> {
        let vectors: serde_json::Map<String, Value> = (widths.iter())
            .map(|(of, width)| {
                let vector = json!({"size": width, "distance": "Cosine", "on_disk": true});
                (of.name().to_owned(), vector)
            })
            .collect();
        self.put(
            "",
            &json!({
                "vectors": vectors,
                "quantization_config": {"scalar": {"type": "int8", "always_ram": true}},
            }),
        )
        .map(drop)
    }

    /// Adds the galaxies from row `first` on; `source` says what files they are of. Those without a direction have no vector.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub(super) fn add(
        &self,
        first: usize,
        vectors: &[(Modality, Array2<f32>)],
        source: &str,
    ) -> Result<()> {
        let rows = vectors.first().map_or(0, |(_, vectors)| vectors.nrows());
        let point = |place: usize| {
            let known = vectors
                .iter()
                .filter(|(_, vectors)| has_direction(vectors.row(place)));
            let vector: serde_json::Map<String, Value> = known
                .map(|(of, vectors)| (of.name().to_owned(), json!(vectors.row(place).to_vec())))
                .collect();
            match first + place {
                0 => json!({"id": 0, "vector": vector, "payload": {SOURCE: source}}),
                row => json!({"id": row, "vector": vector}),
            }
        };
        let points: Vec<Value> = (0..rows).map(point).collect();
        self.put("/points?wait=true", &json!({"points": points}))
            .map(drop)
    }

    /// Finds out whether the collection is of these galaxies.
    ///
    /// # Errors
    /// Where it is not, and where the server cannot be reached.
    pub(super) fn check(&self, galaxies: usize, source: &str) -> Result<()> {
        let remedy = "make it again: astroclip index … --engine qdrant=…";
        let counted = self.post("/points/count", &json!({"exact": true}))?;
        let points = counted["count"].as_u64().unwrap_or(0);
        if points != galaxies as u64 {
            return Err(self.error(&format!(
                "has {points} points; expected {galaxies}, one for each galaxy; {remedy}"
            )));
        }
        match self.get("/points/0")?["payload"][SOURCE].as_str() == Some(source) {
            true => Ok(()),
            false => Err(self.error(&format!("was made from other embedding files; {remedy}"))),
        }
    }

    /// The rows nearest to a query among embeddings of a kind.
    fn nearest(
        &self,
        query: &[f32],
        of: Modality,
        limit: usize,
        is_exact: bool,
        among: Option<&[usize]>,
    ) -> Result<Vec<usize>> {
        let params = match is_exact {
            true => json!({"exact": true}),
            false => {
                json!({"hnsw_ef": 2 * limit.max(64), "quantization": {"rescore": true, "oversampling": 2.0}})
            }
        };
        let mut body = json!({
            "query": query, "using": of.name(), "limit": limit, "params": params, "with_payload": false, "with_vector": false,
        });
        if let Some(among) = among {
            body["filter"] = json!({"must": [{"has_id": among}]});
        }
        let found = self.post("/points/query", &body)?;
        let rows = found["points"].as_array().map(|points| {
            let row = |point: &Value| usize::try_from(point["id"].as_u64()?).ok();
            points.iter().map(row).collect::<Option<Vec<usize>>>()
        });
        rows.flatten()
            .ok_or_else(|| self.error("answered a query without points"))
    }

    fn get(&self, path: &str) -> Result<Value> {
        let request = self.agent.get(format!("{}{path}", self.url));
        self.answered(self.with_key(request).call())
    }

    fn put(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.agent.put(format!("{}{path}", self.url));
        self.answered(self.sent(request, body))
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.agent.post(format!("{}{path}", self.url));
        self.answered(self.sent(request, body))
    }

    fn sent(
        &self,
        request: ureq::RequestBuilder<ureq::typestate::WithBody>,
        body: &Value,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let request = self
            .with_key(request)
            .header("Content-Type", "application/json");
        request.send(body.to_string())
    }

    fn with_key<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match std::env::var(KEY) {
            Ok(key) => request.header("api-key", key),
            Err(_) => request,
        }
    }

    /// What is in an answer.
    fn answered(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value> {
        let failed = |source: ureq::Error| self.error(&format!("cannot be reached: {source}"));
        let mut answer = answer.map_err(failed)?;
        let status = answer.status();
        let body = answer
            .body_mut()
            .with_config()
            .limit(MOST)
            .read_to_vec()
            .map_err(failed)?;
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        match status.is_success() {
            true => Ok(body["result"].take()),
            false => {
                let said = body["status"]["error"]
                    .as_str()
                    .unwrap_or("says no more")
                    .to_owned();
                Err(self.error(&format!("the server answered {status}: {said}")))
            }
        }
    }

    fn error(&self, what: &str) -> Error {
        Error::input(format!("{}: {what}", self.url))
    }
}

impl CollectedVectors {
    pub(super) fn new(
        collection: Arc<Collection>,
        of: Modality,
        vectors: VectorLookup,
        undirected: Vec<usize>,
        is_exact: bool,
    ) -> Self {
        Self {
            collection,
            of,
            vectors,
            undirected,
            is_exact,
        }
    }

    /// Rows among which the nearest that are let in are.
    fn candidates(&self, query: &[f32], k: usize, admits: Admits<'_>) -> Result<Vec<usize>> {
        let limit = (k + BESIDES).min(self.len());
        let ask = |limit, among| {
            self.collection
                .nearest(query, self.of, limit, self.is_exact, among)
        };
        let Some(admits) = admits else {
            return ask(limit, None);
        };
        let let_in: Vec<usize> = (0..self.len()).filter(|&row| admits(row)).collect();
        if let_in.len() <= MOST_LISTED {
            return match let_in.is_empty() {
                true => Ok(Vec::new()),
                false => ask(limit, Some(&let_in)),
            };
        }
        // As many as hold enough of those that are let in, if these are spread evenly; else more.
        let mut limit = limit * self.len().div_ceil(let_in.len());
        loop {
            let mut rows = ask(limit.min(self.len()), None)?;
            rows.retain(|&row| admits(row));
            if rows.len() >= k || limit >= MOST_ASKED.min(self.len()) {
                return Ok(rows);
            }
            limit *= 4;
        }
    }
}

impl Searchable for CollectedVectors {
    fn len(&self) -> usize {
        self.vectors.rows()
    }

    fn width(&self) -> usize {
        self.vectors.width()
    }

    fn directed(&self) -> usize {
        self.len() - self.undirected.len()
    }

    fn has_direction(&self, row: usize) -> bool {
        self.undirected.binary_search(&row).is_err()
    }

    fn is_approximate(&self) -> bool {
        !self.is_exact
    }

    fn vector(&self, row: usize) -> Result<Vec<f32>> {
        self.vectors.read(row)
    }

    fn nearest(
        &self,
        query: ArrayView1<'_, f32>,
        _from: Option<Modality>,
        k: usize,
        admits: Admits<'_>,
    ) -> Result<Vec<(usize, f64)>> {
        unit_query(query, self.width())?;
        let rows = match k {
            0 => Vec::new(),
            k => self.candidates(&query.to_vec(), k, admits)?,
        };
        if let Some(row) = rows.iter().find(|row| **row >= self.len()) {
            return Err(self
                .collection
                .error(&format!("has a point {row}, which is no galaxy's")));
        }
        ranked(query, rows, k, &self.vectors)
    }
}
