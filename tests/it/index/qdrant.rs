//! A Qdrant server's REST interface as a stand-in that keeps points, ranks them exactly, and records what it is asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{files, without_place};
use crate::serve::client::Served;

#[derive(Clone)]
struct StandIn {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    collection: Option<Value>,
    points: BTreeMap<u64, Value>,
    /// Method and path, and what was sent.
    calls: Vec<(String, Value)>,
}

impl StandIn {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stand_in = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let own = stand_in.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let own = own.clone();
                std::thread::spawn(move || own.converse(stream.unwrap()));
            }
        });
        stand_in
    }

    /// Answers one request after the other, as long as there are any.
    fn converse(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        loop {
            let (mut first, mut length) = (String::new(), 0);
            if reader.read_line(&mut first).unwrap_or(0) == 0 {
                return;
            }
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let call = first.rsplit_once(' ').unwrap().0.to_owned();
            let (status, answer) = self.state.lock().unwrap().answer(call, body);
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            stream
                .write_all(&[head.as_bytes(), answer.as_bytes()].concat())
                .unwrap();
        }
    }

    fn engine(&self) -> String {
        format!("qdrant=http://{}/galaxies", self.address)
    }

    fn last_call(&self) -> (String, Value) {
        self.state.lock().unwrap().calls.last().unwrap().clone()
    }
}

impl State {
    fn answer(&mut self, call: String, body: Value) -> (&'static str, Value) {
        self.calls.push((call.clone(), body.clone()));
        let result = match call.strip_prefix("PUT /collections/galaxies") {
            Some("") if self.collection.is_some() => {
                let error = json!({"status": {"error": "Wrong input: Collection `galaxies` already exists!"}});
                return ("409 Conflict", error);
            }
            Some("") => {
                self.collection = Some(body);
                json!(true)
            }
            Some("/points?wait=true") => {
                let points = body["points"].as_array().unwrap().iter();
                self.points
                    .extend(points.map(|point| (point["id"].as_u64().unwrap(), point.clone())));
                json!({"operation_id": 1, "status": "completed"})
            }
            _ => match call.as_str() {
                "POST /collections/galaxies/points/count" => json!({"count": self.points.len()}),
                "GET /collections/galaxies/points/0" => self.points[&0].clone(),
                "POST /collections/galaxies/points/query" => self.nearest(&body),
                _ => return ("404 Not Found", json!({"status": {"error": "Not found"}})),
            },
        };
        (
            "200 OK",
            json!({"result": result, "status": "ok", "time": 0.001}),
        )
    }

    fn nearest(&self, body: &Value) -> Value {
        let vector = |value: &Value| -> Option<Vec<f64>> {
            let numbers = value
                .as_array()?
                .iter()
                .map(|number| number.as_f64().unwrap());
            Some(numbers.collect())
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let query = vector(&body["query"]).unwrap();
        let among = body["filter"]["must"][0]["has_id"].as_array();
        let mut ranked: Vec<(f64, u64)> = (self.points.iter())
            .filter(|(id, _)| among.is_none_or(|among| among.contains(&json!(id))))
            .filter_map(|(&id, point)| {
                let vector = vector(&point["vector"][body["using"].as_str().unwrap()])?;
                Some((dot(&query, &vector) / dot(&vector, &vector).sqrt(), id))
            })
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.truncate(body["limit"].as_u64().unwrap() as usize);
        let points = ranked
            .iter()
            .map(|(score, id)| json!({"id": id, "version": 1, "score": score}));
        json!({"points": points.collect::<Vec<_>>()})
    }
}

#[test]
fn a_qdrant_server_searches_and_the_answers_are_the_same() {
    let workspace = files();
    let server = StandIn::start();
    let engine = server.engine();
    let index = [
        "index",
        "a.h5",
        "b.h5",
        "--out",
        "galaxies.index",
        "--engine",
        &engine,
    ];
    workspace.run(&index).succeeds();
    {
        let state = server.state.lock().unwrap();
        let vectors = &state.collection.as_ref().unwrap()["vectors"];
        assert_eq!(
            vectors["spectrum"],
            json!({"size": super::WIDTH, "distance": "Cosine", "on_disk": true})
        );
        assert_eq!(state.points.len(), 3000);
    }
    // What is there is not written over.
    workspace
        .run(&index)
        .fails_with(2, &["409", "already exists"]);

    let asked = ["--id", "2345", "--to", "spectrum", "-k", "5", "--json"];
    let run = |file: &str| workspace.run(&[&["search", file], &asked[..]].concat());
    let expected = without_place(run("both.h5").succeeds().json());
    assert_eq!(
        without_place(run("galaxies.index").succeeds().json()),
        expected
    );
    let (call, body) = server.last_call();
    assert_eq!(
        (call.as_str(), &body["using"]),
        (
            "POST /collections/galaxies/points/query",
            &json!("spectrum")
        )
    );
    assert_eq!(body["params"]["quantization"]["rescore"], true);

    let served = Served::start(&workspace, &["galaxies.index", "--exact"]);
    let found = served
        .get("/api/v1/search?id=2345&to=spectrum&limit=5&filters=redshift:..0.01")
        .json();
    let (_, body) = server.last_call();
    assert_eq!(
        (&body["params"], &found["total"]),
        (&json!({"exact": true}), &json!(31))
    );
    assert_eq!(
        body["filter"]["must"][0]["has_id"]
            .as_array()
            .unwrap()
            .len(),
        31
    );
    assert_eq!(found["matches"].as_array().unwrap().len(), 5);
    drop(served);

    server.state.lock().unwrap().points.get_mut(&0).unwrap()["payload"] =
        json!({"astroclip_embeddings": "others"});
    run("galaxies.index").fails_with(2, &["other embedding files", "astroclip index"]);
    server.state.lock().unwrap().points.remove(&7);
    run("galaxies.index").fails_with(2, &["2999 points", "expected 3000"]);
    let nobody = [
        "index",
        "a.h5",
        "--out",
        "new.index",
        "--engine",
        "qdrant=http://127.0.0.1:9/galaxies",
    ];
    workspace.run(&nobody).fails_with(2, &["cannot be reached"]);
    let secret = [
        "index",
        "a.h5",
        "--out",
        "new.index",
        "--engine",
        "qdrant=https://127.0.0.1/galaxies",
    ];
    workspace
        .run(&secret)
        .fails_with(2, &["expected http://HOST:PORT/COLLECTION"]);
    assert!(!workspace.path("new.index").exists());
}
