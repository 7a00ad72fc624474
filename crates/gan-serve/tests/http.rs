//! The server over HTTP: pages, updates, refusals, and what many clients and random requests do to it.

#[path = "common/site.rs"]
mod site;

use site::{Site, get, status};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn the_list_shows_states_alarms_and_curves() {
    let site = Site::new();
    site.run("first", 40, 50);
    site.run("done", 50, 50);
    let page = site.get("/");
    assert_eq!(status(&page), 200);
    assert!(page.contains("<a class=\"name\" href=\"/runs/first\">first</a>"), "{page}");
    assert!(page.contains("state finished") && page.contains("40 of 50 steps") && page.contains("<path class=\"c1\""));
    site.append(
        "first",
        "{\"step\":41,\"alarm\":\"collapse\",\"at\":41,\"evidence\":\"e\",\"advice\":\"a\",\"done\":\"stop\"}\n",
    );
    std::thread::sleep(Duration::from_millis(600));
    let page = site.get("/");
    assert!(page.contains("alarm: mode collapse") && page.contains("state failed"), "{page}");
}

#[test]
fn a_run_has_its_report_and_its_pictures() {
    let site = Site::new();
    site.run("run one", 20, 50);
    let page = site.get("/runs/run-one");
    assert_eq!(status(&page), 200);
    for words in ["Losses", "20 of 50", "id=\"samples\"", "src=\"/runs/run-one/pictures/samples/step-0000010.png\""] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    let picture = site.get_bytes("/runs/run-one/pictures/samples/step-0000010.png", "");
    assert!(picture.windows(4).any(|part| part == b"\x89PNG"));
    let text = String::from_utf8_lossy(&picture).into_owned();
    let tag = text.split("etag: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a tag");
    let again = site.get_bytes("/runs/run-one/pictures/samples/step-0000010.png", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!(status(&String::from_utf8_lossy(&again)), 304);
}

#[test]
fn updates_have_what_is_new_and_nothing_else() {
    let site = Site::new();
    site.run("run", 20, 1000);
    let page = site.get("/runs/run/parts");
    let body = page.split("\r\n\r\n").nth(1).expect("a body");
    let parts: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let live = &parts["data"]["live"];
    assert_eq!(live["reached"], 20.0);
    let address = format!("/runs/run/events?version={}&reached=20", live["version"].as_str().expect("a version"));
    let mut events = Events::open(&site, &address);
    let first = events.next();
    assert_eq!(first["points"]["loss_d"], serde_json::json!([[20.0], [1.05]]));
    assert!(first["rebuild"].is_null() && first["sections"]["run"].is_string(), "{first}");
    let start = Instant::now();
    site.append("run", "{\"step\":21,\"epoch\":0,\"loss_d\":9.5,\"loss_g\":null}\n");
    let points = events.find("points");
    writeln!(std::io::stderr(), "a new point is sent after {:?}", start.elapsed()).ok();
    assert_eq!(points["loss_d"], serde_json::json!([[20.0, 21.0], [1.05, 9.5]]));
    assert_eq!(points["loss_g"][1][1], serde_json::Value::Null);
    assert!(events.find("sections")["run"].as_str().is_some_and(|html| html.contains("21 of 1,000")));
    site.picture("run", "samples/step-0000021.png");
    assert_eq!(events.find("frames")[0][2]["step"], 21);
    // A new metric and a cut file need a new page.
    site.append("run", "{\"step\":21,\"fd_digits\":3.5}\n");
    assert_eq!(events.find("rebuild"), true);
    site.cut("run", 10);
    assert_eq!(events.find("rebuild"), true);
    assert_eq!(Events::open(&site, &address).next()["rebuild"], true);
}

#[test]
fn runs_are_compared_over_steps_images_and_minutes() {
    let site = Site::new();
    site.run("a", 40, 50);
    site.run("b", 30, 60);
    for (over, last) in [("steps", "40"), ("images", "5120"), ("minutes", "0.666667")] {
        let page = site.get(&format!("/compare?run=a&run=b&over={over}"));
        assert_eq!(status(&page), 200);
        let data = page.split("id=\"data\">").nth(1).and_then(|rest| rest.split("</script>").next()).expect("data");
        let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
        let curves = &data["charts"][0]["curves"];
        assert_eq!(curves.as_array().map(Vec::len), Some(2), "{over}");
        let x = curves[0]["x"].as_array().and_then(|x| x.last()).expect("a point").to_string();
        assert_eq!((x.as_str(), &curves[0]["name"]), (last, &serde_json::json!("a")));
        assert!(page.contains("train.steps") && !page.contains("train.batch"), "only what differs is in the table");
    }
    for (query, expected) in [("", 400), ("?run=a", 400), ("?run=a&run=a", 400), ("?run=a&run=none", 404)] {
        assert_eq!(status(&site.get(&format!("/compare{query}"))), expected, "{query}");
    }
}

#[test]
fn other_names_other_sites_and_other_methods_are_refused() {
    let site = Site::new();
    let address = site.address();
    let ask = |request: String| status(&String::from_utf8_lossy(&site.raw(request.as_bytes())));
    let with = |extra: &str| ask(format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{extra}\r\n"));
    assert_eq!(with(""), 200);
    assert_eq!(with(&format!("Origin: http://{address}\r\n")), 200);
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        assert_eq!(with(&format!("Origin: {origin}\r\n")), 403, "{origin}");
    }
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1"] {
        assert_eq!(ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")), 421, "{host}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let request =
            format!("{method} / HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(request), 405, "{method}");
    }
    let page = site.get("/");
    for header in ["script-src 'self'", "frame-ancestors 'none'", "x-content-type-options: nosniff"] {
        assert!(page.contains(header), "{header}");
    }
    assert!(!page.contains("<script>") && !page.contains(" style="));
}

#[test]
fn a_server_of_the_network_needs_its_token() {
    let site = Site::at("0.0.0.0:0");
    let url = site.url();
    let token = url.split("token=").nth(1).expect("a token in the address").to_string();
    assert_eq!(status(&site.get("/")), 401);
    assert_eq!(status(&site.get("/?token=wrong")), 401);
    let welcome = site.get(&format!("/?token={token}"));
    assert!(status(&welcome) == 200 && welcome.contains("HttpOnly; SameSite=Strict"), "{welcome}");
    let page = site.get_bytes("/", &format!("Cookie: a=b; gan-serve={token}\r\n"));
    assert_eq!(status(&String::from_utf8_lossy(&page)), 200);
    let page = site.get_bytes("/", &format!("Cookie: gan-serve={}\r\n", "0".repeat(40)));
    assert_eq!(status(&String::from_utf8_lossy(&page)), 401);
}

#[test]
fn no_address_leads_out_of_the_runs() {
    let site = Site::new();
    site.run("run", 5, 50);
    std::fs::write(site.folder().join("../secret.png"), "secret").unwrap();
    for path in [
        "/runs/../secret.png",
        "/runs/run/pictures/../config.toml",
        "/runs/run/pictures/samples/..%2f..%2fsecret.png",
        "/runs/run/pictures/%2e%2e/secret.png",
        "/runs/run/pictures/..%2f../secret.png",
        "/runs/%2e%2e/pictures/samples/secret.png",
        "/runs/run/pictures/samples/%00.png",
        "/assets/../Cargo.toml",
        "/assets/..%2fsrc%2flib.rs",
        "//etc/passwd",
    ] {
        let answer = site.get(path);
        assert_eq!(status(&answer), 404, "{path}");
        assert!(!answer.contains("secret\n") && !answer.contains("A run of gan"), "{path}");
    }
}

#[test]
fn random_requests_neither_escape_nor_fail() {
    let site = Site::new();
    site.run("run", 5, 50);
    std::fs::write(site.folder().join("../secret.png"), "SECRET").unwrap();
    let count = std::env::var("GAN_FUZZ_REQUESTS").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000);
    let mut rng = site::Random::new(1);
    for _ in 0..count {
        let request = site::random_request(&mut rng, &site.address());
        let answer = site.raw(&request);
        let text = String::from_utf8_lossy(&answer);
        let shown = || String::from_utf8_lossy(&request).into_owned();
        assert!(answer.is_empty() || status(&text) < 500, "{}\n{text}", shown());
        assert!(!text.contains("SECRET"), "{}", shown());
    }
    assert_eq!(status(&site.get("/runs/run")), 200);
}

#[test]
fn a_hundred_watchers_are_served_beside_stalled_ones() {
    let site = Site::new();
    site.run("run", 20, 1000);
    // These send half a request, or never read.
    let mut half: Vec<TcpStream> = (0..20).map(|_| site.connect()).collect();
    half.iter_mut().for_each(|stream| stream.write_all(b"GET / HT").unwrap());
    let _stalled: Vec<TcpStream> = (0..20).map(|_| site.send("/runs/run/events", "")).collect();
    let mut watchers: Vec<Events> = (0..100).map(|_| Events::open(&site, "/runs/run/events?version=x")).collect();
    watchers.iter_mut().for_each(|events| assert_eq!(events.next()["rebuild"], true));
    let start = Instant::now();
    site.append("run", "{\"step\":21,\"epoch\":0,\"loss_d\":9.5}\n");
    for events in &mut watchers {
        assert_eq!(events.find("points")["loss_d"][1][1], 9.5);
    }
    writeln!(std::io::stderr(), "all watchers have the point after {:?}", start.elapsed()).ok();
    assert_eq!(status(&get(&site, "/")), 200);
}

#[test]
fn the_explorer_answers_with_samples_and_refuses_what_is_no_recipe() {
    let site = Site::new();
    site.run("run", 5, 50);
    assert_eq!(status(&site.get("/explore/run")), 404);
    site.generator("run");
    assert!(site.get("/explore/run").contains("training step 1,234"));
    let sample = |query: &str| site.get_bytes(&format!("/explore/run/sample?{query}"), "");
    let body = |bytes: &[u8]| bytes.windows(4).position(|part| part == b"\x89PNG").map(|at| bytes[at..].to_vec());
    let one = body(&sample("z=3,0,0")).expect("a picture");
    assert_eq!(body(&sample("z=3,0,0,0,0")), Some(one.clone()));
    assert_ne!(body(&sample("z=3,0,0,2")), Some(one.clone()));
    assert_eq!(body(&sample("z=3,0,0&to=4,0,0&part=0")), Some(one.clone()));
    assert_eq!(body(&sample("z=4,0,0&to=3,0,0&part=1")), Some(one));
    for query in
        ["", "z=", "z=-1,0,0", "z=1,5,0", "z=1,0,0.001", "z=1,0,0,NaN", "z=1,0,0,99", "z=1,0,0&part=2", "z=1,0,0&to=x"]
    {
        assert_eq!(status(&String::from_utf8_lossy(&sample(query))), 400, "{query}");
    }
}

/// A stream of updates.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(site: &Site, path: &str) -> Self {
        Self(BufReader::new(site.send(path, "")))
    }

    fn next(&mut self) -> serde_json::Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("an update") > 0, "the stream has ended");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).expect("JSON");
            }
        }
    }

    /// Returns the next value of `key`.
    fn find(&mut self, key: &str) -> serde_json::Value {
        loop {
            let update = self.next();
            if !update[key].is_null() {
                return update[key].clone();
            }
        }
    }
}

#[test]
fn clients_that_send_nothing_are_cut_off() {
    let site = Site::new();
    let mut stream = site.connect();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    // The stream itself waits for 30 seconds.
    let mut rest = vec![];
    assert!(stream.read_to_end(&mut rest).is_ok(), "the server does not end the connection");
}
