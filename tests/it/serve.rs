//! `astroclip serve` over a real socket: the same answers as `search`, limits, refusals, and an end on request.

pub(crate) mod client;
mod malformed;

use std::fs;

use serde_json::{Value, json};

use crate::support::{Workspace, writable};
use client::Served;

const FIRST: &str = "3000000000000000";

fn ids(found: &Value) -> Vec<String> {
    let matches = found["matches"].as_array().expect("matches").iter();
    matches
        .map(|one| one["object_id"].as_str().expect("text").to_owned())
        .collect()
}

#[test]
fn the_answers_are_those_of_the_command_line() {
    let workspace = Workspace::with_embeddings();
    let served = Served::start(&workspace, &["emb.h5"]);
    for (from, to) in [
        ("image", "image"),
        ("image", "spectrum"),
        ("spectrum", "image"),
        ("spectrum", "spectrum"),
    ] {
        let words = [
            "search", "emb.h5", "--id", FIRST, "--from", from, "--to", to, "-k", "7", "--json",
        ];
        let expected = workspace.run(&words).succeeds().json();
        let path = format!("/api/v1/search?id={FIRST}&from={from}&to={to}&limit=7");
        let by_id = served.get(&path).json();
        let body = json!({"ids": [FIRST], "from": from, "to": to, "limit": 4, "offset": 3});
        let second_page = served.post("/api/v1/search", &body).json();
        assert_eq!(by_id["total"], 24);
        let found = by_id["matches"].as_array().unwrap();
        assert_eq!(found.len(), 7);
        for (found, expected) in found.iter().zip(expected.as_array().unwrap()) {
            assert_eq!(found["object_id"], expected["object_id"].to_string());
            for field in ["rank", "row", "similarity", "split"] {
                assert_eq!(found[field], expected[field], "{field}");
            }
            let redshift = &found["properties"]["redshift"];
            let difference = redshift.as_f64().unwrap() - expected["redshift"].as_f64().unwrap();
            assert!(difference.abs() < 1e-6);
        }
        assert_eq!(second_page["matches"][0], found[3]);
        assert_eq!(second_page["matches"].as_array().unwrap().len(), 4);
    }
    // In the words of the command line, without the place of the file.
    let refused = served.get("/api/v1/search?id=17");
    assert_eq!(refused.status, 400);
    let said = workspace.run(&["search", "emb.h5", "--id", "17"]).stderr;
    let message = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(
        said.contains(&message) && !message.contains("emb.h5"),
        "{said} {message}"
    );
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn several_galaxies_filters_and_vectors_narrow_a_search() {
    let workspace = Workspace::with_embeddings();
    let served = Served::start(&workspace, &["emb.h5"]);
    let search = |body: Value| served.post("/api/v1/search", &body).json();
    let second = "3000000000000001";
    let both = search(json!({"ids": [FIRST, second], "limit": 24}));
    assert_eq!(ids(&both).len(), 24);
    let without = search(json!({"ids": [FIRST], "without": [second], "limit": 24}));
    let place = |found: &Value| ids(found).iter().position(|id| id == second).unwrap();
    let alone = search(json!({"ids": [FIRST], "limit": 24}));
    assert!(place(&without) > place(&both) && place(&without) >= place(&alone));

    let low = search(
        json!({"ids": [FIRST], "limit": 24, "filters": [{"column": "redshift", "max": 0.2}]}),
    );
    let redshifts = low["matches"].as_array().unwrap().iter();
    let redshifts: Vec<f64> = redshifts
        .map(|one| one["properties"]["redshift"].as_f64().unwrap())
        .collect();
    assert_eq!(low["total"], redshifts.len());
    assert!(!redshifts.is_empty() && redshifts.len() < 24 && redshifts.iter().all(|&z| z <= 0.2));
    let path = format!("/api/v1/search?id={FIRST}&limit=24&filters=redshift:..0.2");
    assert_eq!(served.get(&path).json(), low);

    // What is brought finds itself.
    let cutout = served.get(&format!("/api/v1/galaxies/{FIRST}/image.fits"));
    assert!(cutout.body.starts_with(b"SIMPLE  ="));
    let brought = served
        .send("POST", "/api/v1/upload?name=cutout.fits", &[], &cutout.body)
        .json();
    assert!(
        brought["picture"]
            .as_str()
            .unwrap()
            .starts_with("data:image/png;base64,")
    );
    let found = search(json!({"vector": brought["vectors"]["image"], "limit": 1}));
    assert_eq!(ids(&found), [FIRST]);
    assert!(found["matches"][0]["similarity"].as_f64().unwrap() > 0.999_99);

    let spectrum = served
        .get(&format!("/api/v1/galaxies/{FIRST}/spectrum"))
        .json();
    let mut text = String::from("wavelength,flux\n");
    for (index, flux) in spectrum["flux"].as_array().unwrap().iter().enumerate() {
        text += &format!("{},{flux}\n", 3600.0 + 0.8 * index as f64);
    }
    let brought = served
        .send("POST", "/api/v1/upload", &[], text.as_bytes())
        .json();
    let found =
        search(json!({"vector": brought["vectors"]["spectrum"], "to": "spectrum", "limit": 1}));
    assert_eq!(ids(&found), [FIRST]);
    assert!(
        brought["estimates"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["column"] == "redshift")
    );
}

#[test]
fn galaxies_maps_and_tables_are_there_for_programs() {
    let workspace = Workspace::with_embeddings();
    let served = Served::start(&workspace, &["emb.h5"]);
    let info = served.get("/api/v1/info").json();
    assert_eq!(
        (&info["galaxies"], &info["images"], &info["uploads"]),
        (&json!(24), &json!(true), &json!(["image", "spectrum"]))
    );
    let galaxy = served.get(&format!("/api/v1/galaxies/{FIRST}")).json();
    assert_eq!(
        (&galaxy["row"], &galaxy["spectrum"]),
        (&json!(0), &json!(true))
    );
    let batch = served
        .get(&format!("/api/v1/galaxies?ids={FIRST},none"))
        .json();
    assert_eq!(
        (&batch["galaxies"][0], &batch["missing"]),
        (&galaxy, &json!(["none"]))
    );
    let binned = served
        .get(&format!("/api/v1/galaxies/{FIRST}/spectrum?bins=100"))
        .json();
    assert_eq!(binned["flux"].as_array().unwrap().len(), 99);
    let picture = served.get(&format!(
        "/api/v1/galaxies/{FIRST}/image.png?size=64&brightness=2"
    ));
    assert!(picture.body.starts_with(b"\x89PNG"));
    let estimates = served
        .get(&format!("/api/v1/galaxies/{FIRST}/estimates"))
        .json();
    assert!(
        estimates
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["neighbours"] == 16)
    );

    let map = served.until_done("/api/v1/map?of=spectrum");
    assert_eq!(
        (map["x"].as_array().unwrap().len(), &map["object_id"][0]),
        (24, &json!(FIRST))
    );
    let unusual = served.until_done("/api/v1/unusual?of=image&limit=24");
    let distances = unusual["galaxies"].as_array().unwrap().iter();
    let distances: Vec<f64> = distances
        .map(|one| one["distance"].as_f64().unwrap())
        .collect();
    assert_eq!(distances.len(), 24);
    assert!(distances.is_sorted_by(|a, b| a >= b) && distances[23] > 0.0);

    let export = |format: &str| {
        let body =
            json!({"ids": [FIRST, "3000000000000005"], "similarity": [1.0, 0.5], "format": format});
        String::from_utf8(served.post("/api/v1/export", &body).body).unwrap()
    };
    assert_eq!(export("ids"), format!("{FIRST}\n3000000000000005\n"));
    let csv = export("csv");
    assert!(
        csv.starts_with("object_id,") && csv.contains("similarity") && csv.lines().count() == 3,
        "{csv}"
    );
    assert!(export("votable").contains("<FIELD name=\"similarity\" datatype=\"double\""));

    let api = served.get("/openapi.json").json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    for path in api["paths"].as_object().unwrap().keys() {
        let path = path.replace("{id}", FIRST).replace("{name}", "redshift");
        let status = served.get(&path).status;
        assert!([200, 400, 405].contains(&status), "{path}: {status}");
    }
    let page = String::from_utf8(served.get("/").body).unwrap();
    for part in page
        .split('"')
        .filter(|part| part.ends_with(".js") || part.ends_with(".css"))
    {
        assert_eq!(served.get(&format!("/{part}")).status, 200, "{part}");
    }
}

#[test]
fn positions_make_a_cone_search() {
    let workspace = Workspace::with_embeddings();
    let file = writable(workspace.path("emb.h5"));
    for name in ["ra", "dec"] {
        let _ = file.unlink(name);
    }
    let ra: Vec<f64> = (0..24)
        .map(|row| (359.95 + 0.01 * f64::from(row)) % 360.0)
        .collect();
    file.new_dataset_builder()
        .with_data(&ra)
        .create("ra")
        .unwrap();
    file.new_dataset_builder()
        .with_data(&[0.0; 24])
        .create("dec")
        .unwrap();
    drop(file);
    let served = Served::start(&workspace, &["emb.h5"]);
    let near = served.get("/api/v1/near?ra=0.001&dec=0&radius=60").json();
    let near = near["galaxies"].as_array().unwrap();
    assert_eq!(near.len(), 3);
    assert_eq!(near[0]["object_id"], "3000000000000005");
    assert!((near[0]["distance"].as_f64().unwrap() - 3.6).abs() < 1e-6);
    let cone = |query: &str| String::from_utf8(served.get(&format!("/cone?{query}")).body).unwrap();
    let found = cone("RA=0.001&DEC=0&SR=0.0167&VERB=1");
    assert!(
        found.contains("nrows=\"3\"") && found.contains("ucd=\"POS_EQ_RA_MAIN\""),
        "{found}"
    );
    assert!(cone("ra=0&dec=0&sr=0").contains("nrows=\"0\""));
    for wrong in [
        "",
        "RA=0&DEC=0",
        "RA=400&DEC=0&SR=1",
        "RA=0&DEC=NaN&SR=1",
        "RA=0&DEC=0&SR=x&y",
    ] {
        assert!(
            cone(wrong).contains("<INFO ID=\"Error\" name=\"Error\" value="),
            "{wrong}"
        );
    }
}

#[test]
fn whoever_may_not_ask_is_told_so() {
    let workspace = Workspace::with_embeddings();
    fs::write(workspace.path("short.txt"), "secret\n").unwrap();
    fs::write(workspace.path("token.txt"), "0123456789abcdef\n").unwrap();
    let bind = ["serve", "emb.h5", "--bind", "0.0.0.0:0"];
    workspace
        .run(&bind)
        .fails_with(2, &["--bind 0.0.0.0:0", "--token-file"]);
    let short = [&bind[..], &["--token-file", "short.txt"]].concat();
    workspace
        .run(&short)
        .fails_with(2, &["short.txt", "16 or more letters"]);

    let served = Served::start(&workspace, &["emb.h5", "--token-file", "token.txt"]);
    assert_eq!(served.get("/api/v1/info").status, 401);
    assert_eq!(served.get("/?token=0123456789abcdee").status, 401);
    let bearer = ("Authorization", "Bearer 0123456789abcdef");
    assert_eq!(
        served.send("GET", "/api/v1/info", &[bearer], b"").status,
        200
    );
    let handed = served.get("/?token=0123456789abcdef");
    assert_eq!((handed.status, handed.header("location")), (303, Some("/")));
    let cookie = handed
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    assert_eq!(
        served.send("GET", "/", &[("Cookie", cookie)], b"").status,
        200
    );
    drop(served);

    // A page elsewhere whose name leads here, and pages of other origins.
    let served = Served::start(
        &workspace,
        &["emb.h5", "--allow-origin", "https://example.org"],
    );
    assert_eq!(
        served
            .send("GET", "/", &[("Host", "example.org")], b"")
            .status,
        421
    );
    let from = |origin| served.send("GET", "/api/v1/info", &[("Origin", origin)], b"");
    let allowed = from("https://example.org");
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("https://example.org")
    );
    assert_eq!(
        from("https://example.com").header("access-control-allow-origin"),
        None
    );
    let policy = allowed.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"));
}

#[test]
fn without_survey_files_and_model_the_page_says_how_to_give_some() {
    let workspace = Workspace::with_embeddings();
    fs::rename(workspace.path("survey.h5"), workspace.path("elsewhere.h5")).unwrap();
    let served = Served::start(&workspace, &["emb.h5"]);
    let image = served.get(&format!("/api/v1/galaxies/{FIRST}/image.png"));
    assert_eq!(image.status, 404);
    assert!(
        image.json()["error"]
            .as_str()
            .unwrap()
            .contains("--data FILE")
    );
    let upload = served.send("POST", "/api/v1/upload", &[], b"wavelength,flux\n1,2\n");
    assert_eq!(upload.status, 400);
    assert!(
        upload.json()["error"]
            .as_str()
            .unwrap()
            .contains("--weights MODEL")
    );
    assert_eq!(
        served.get(&format!("/api/v1/search?id={FIRST}")).status,
        200
    );
    drop(served);
    let named = [
        "emb.h5",
        "--data",
        "elsewhere.h5",
        "--weights",
        "astroclip.safetensors",
    ];
    let served = Served::start(&workspace, &named);
    let image = served.get(&format!("/api/v1/galaxies/{FIRST}/image.png"));
    assert_eq!(image.status, 200);
}

#[test]
fn intervals_of_a_catalogue_of_estimates_stand_beside_the_values() {
    let workspace = Workspace::with_embeddings();
    let estimates = "object_id,split,redshift,redshift_p160,redshift_p500,redshift_p840,flag\n\
                     3000000000000000,test,0.2,0.125,0.2,0.25,0\n3000000000000001,test,0.5,0.25,0.5,0.75,4\n";
    fs::write(workspace.path("estimates.csv"), estimates).unwrap();
    let served = Served::start(&workspace, &["emb.h5", "--labels", "estimates.csv"]);
    let galaxy = served.get(&format!("/api/v1/galaxies/{FIRST}")).json();
    for (column, value) in [("redshift_p160", 0.125), ("redshift_p840", 0.25)] {
        assert_eq!(galaxy["properties"][column], value, "{galaxy}");
    }
    let low = served
        .get(&format!(
            "/api/v1/search?id={FIRST}&filters=redshift_p840:..0.5"
        ))
        .json();
    assert_eq!(ids(&low), [FIRST]);
}
