//! The stock plugins as embedded in the binary, and one loaded by path, in the real host with real
//! grants.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cowhand::error::Result;
use cowhand::event::{Event, SCHEMA};
use cowhand::exit::Exit;
use cowhand::plugin::receipt::Class;
use cowhand::plugin::types::{
    Answer, Blobs, Candidate, CandidateKind, Cause, Collision, Conflict, ConflictKind, Decided,
    Favor, PostPull, PostPullVerdict, PreMergeVerdict, PrePrune, Side,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::kit::{Site, probe, update};

const NOTHING: &str = "plugin = []";

/// Sides that must not be read.
struct Closed;

impl Blobs for Closed {
    fn size(&self, _: Side) -> Result<u64> {
        panic!("a size was asked for");
    }

    fn read(&self, _: Side) -> Result<Vec<u8>> {
        panic!("a side was read");
    }
}

async fn decided(toml: &str, conflict: &Conflict) -> Decided {
    Site::new()
        .load(toml)
        .await
        .unwrap()
        .resolve(conflict, Arc::new(Closed), |_, _| Ok(()))
        .await
        .unwrap()
}

fn conflict(path: &str, kind: ConflictKind, prefers: Favor) -> Conflict {
    Conflict {
        path: path.into(),
        kind,
        collision: None,
        prefers,
        base: None,
        ours: None,
        theirs: None,
    }
}

fn by(plugin: &str, answer: Answer) -> Decided {
    Decided::By { plugin: plugin.to_owned(), answer }
}

#[tokio::test]
async fn without_settings_an_update_proceeds() {
    let site = Site::new();
    let mut plugins = site.load(NOTHING).await.unwrap();
    let verdict = plugins.pre_merge(&update()).await.unwrap();
    assert_eq!(verdict, PreMergeVerdict::Proceed { to: None, files: Vec::new() });
    let verdict =
        plugins.post_pull(&PostPull { now: update().now, images: Vec::new() }).await.unwrap();
    assert_eq!(verdict, PostPullVerdict::Proceed { files: Vec::new() });
    assert!(site.notes().is_empty(), "{:?}", site.notes());
}

#[tokio::test]
async fn conflicts_are_decided_by_kind_and_nothing_is_read() {
    let cases = [
        (ConflictKind::Content, Favor::Theirs, Answer::Favor(Favor::Theirs)),
        (ConflictKind::Content, Favor::Ours, Answer::Favor(Favor::Ours)),
        (ConflictKind::Binary, Favor::Ours, Answer::Ours),
        (ConflictKind::ModifyDelete, Favor::Ours, Answer::Remove),
    ];
    for (kind, prefers, answer) in cases {
        assert_eq!(
            decided(NOTHING, &conflict("a", kind, prefers)).await,
            by("stock-conflicts", answer),
            "{kind:?}"
        );
    }
    let in_the_way = Conflict {
        collision: Some(Collision::Ignored),
        ..conflict("a", ConflictKind::AddAdd, Favor::Ours)
    };
    assert_eq!(decided(NOTHING, &in_the_way).await, by("stock-conflicts", Answer::Theirs));
}

#[tokio::test]
async fn optional_resolvers_are_loaded_only_if_configured() {
    let everywhere = ["stock-conflicts", "certificates", "release-gate", "keep-images", "notify"];
    assert_eq!(Site::new().load(NOTHING).await.unwrap().names(), everywhere);
    let toml = "[[plugin]]\nname = \"mine\"\nsource = \"stock:keep-local\"\n";
    assert_eq!(
        Site::new().load(toml).await.unwrap().names(),
        [&["mine"], &everywhere[..]].concat()
    );
}

#[tokio::test]
async fn a_plugin_decides_by_path_and_passes_on_the_rest() {
    let source = probe().with_file_name("by_path.wasm");
    let toml = format!(
        "[[plugin]]\nname = \"by-path\"\nsource = {source:?}\n\
         config = {{ ours = [\"data/conf/sogo/\"] }}\n"
    );
    let (known, other) = ("data/conf/sogo/sogo.conf", "docker-compose.yml");
    let ask =
        async |path| decided(&toml, &conflict(path, ConflictKind::Content, Favor::Theirs)).await;
    assert_eq!(ask(known).await, by("by-path", Answer::Ours));
    assert_eq!(ask(other).await, by("stock-conflicts", Answer::Favor(Favor::Theirs)));
}

#[tokio::test]
async fn the_release_gate_follows_its_settings() {
    let gate = |config: &str| {
        format!(
            "[[plugin]]\nname = \"gate\"\nsource = \"stock:release-gate\"\n\
             [plugin.config]\n{config}\n"
        )
    };
    let ask = async |config: &str| {
        Site::new().load(&gate(config)).await.unwrap().pre_merge(&update()).await
    };
    // The site's clock says Monday, 22:00.
    let closed =
        ask("window = [{ days = [\"tue\"], from = \"01:30\", to = \"05:00\" }]").await.unwrap();
    let PreMergeVerdict::NotNow { plugin, until, .. } = closed else { panic!("{closed:?}") };
    let opens = "2026-11-24T01:30:00+01:00".parse::<jiff::Timestamp>().unwrap();
    assert_eq!((plugin.as_str(), until), ("gate", Some(opens)));
    let open =
        ask("window = [{ days = [\"mon\"], from = \"21:00\", to = \"23:00\" }]\nmin-age = \"3d\"")
            .await
            .unwrap();
    assert_eq!(open, PreMergeVerdict::Proceed { to: None, files: Vec::new() });
    let wrong = ask("min-agee = \"3d\"").await.unwrap_err();
    assert_eq!(wrong.exit_code(), Some(Exit::Declined));
    assert!(format!("{wrong:?}").contains("did you mean `min-age`?"), "{wrong:?}");
}

#[tokio::test]
async fn the_previous_release_s_images_are_kept() {
    let candidate = |id: &str, cause| Candidate {
        kind: CandidateKind::Image,
        id: id.to_owned(),
        references: vec![format!("example.org/{id}:1")],
        size: None,
        created: None,
        labels: std::collections::BTreeMap::default(),
        cause,
        reason: "a test".to_owned(),
    };
    let candidates =
        vec![candidate("before", Cause::Previous), candidate("long-ago", Cause::Superseded)];
    let asked = PrePrune { now: update().now, candidates, in_use: Vec::new() };
    let kept = Site::new().load(NOTHING).await.unwrap().pre_prune(&asked).await.unwrap();
    let kept: Vec<_> = kept.iter().map(|kept| (kept.id.as_str(), kept.plugin.as_str())).collect();
    assert_eq!(kept, [("before", "keep-images")]);
}

/// Creates certbot's directories below `folder`, with a pair and the links to it.
fn certbot(folder: &Path) {
    for inner in ["live/mail.example.org", "archive/mail.example.org"] {
        std::fs::create_dir_all(folder.join(inner)).unwrap();
    }
    for (name, from) in [("fullchain", "ec.cert.pem"), ("privkey", "ec.pkcs8.pem")] {
        let archived = format!("archive/mail.example.org/{name}1.pem");
        std::fs::copy(
            Path::new("plugins/certificates/testdata").join(from),
            folder.join(&archived),
        )
        .unwrap();
        symlink(
            format!("../../{archived}"),
            folder.join(format!("live/mail.example.org/{name}.pem")),
        )
        .unwrap();
    }
}

/// Returns the files that the certificates plugin installs, and its notes, if it may read `granted`
/// below the ACME client's directory.
async fn handed_over(granted: &str) -> (Vec<(String, u32)>, Vec<String>) {
    let outside = tempfile::tempdir().unwrap();
    certbot(outside.path());
    let site = Site::new();
    let key = site.path().join("data/assets/ssl/key.pem");
    std::fs::write(&key, "no key").unwrap();
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (outside, live) = (outside.path().display(), "live/mail.example.org");
    let toml = format!(
        "[[plugin]]\nname = \"certs\"\nsource = \"stock:certificates\"\n\
         [plugin.grant]\nread = [\"data/assets/ssl\", \"{outside}{granted}\"]\n\
         install = [\"data/assets/ssl\"]\n\
         [plugin.config]\nsource = \"{outside}/{live}\"\nnames = [\"mail.example.org\"]\n"
    );
    let mut update = update();
    // The pair in plugins/certificates/testdata is valid from 2026-11-23 to 2027-02-21.
    update.now = "2026-12-01T00:00:00+01:00[Europe/Berlin]".parse().unwrap();
    let verdict = site.load(&toml).await.unwrap().pre_merge(&update).await.unwrap();
    let PreMergeVerdict::Proceed { files, .. } = verdict else { panic!("{verdict:?}") };
    (files.into_iter().map(|file| (file.path.text(), file.mode)).collect(), site.notes())
}

#[tokio::test]
async fn a_certificate_from_outside_is_installed_through_its_links() {
    let (files, notes) = handed_over("").await;
    let pair = [
        ("data/assets/ssl/cert.pem".to_owned(), 0o644),
        ("data/assets/ssl/key.pem".to_owned(), 0o600),
    ];
    assert_eq!(files, pair);
    assert_eq!(notes, ["certs: data/assets/ssl/dhparams.pem is missing "]);
}

#[tokio::test]
async fn links_out_of_granted_directories_are_reported_and_the_site_s_pair_is_checked() {
    let (files, notes) = handed_over("/live").await;
    assert!(files.is_empty());
    let noted =
        |what: &str| assert!(notes.iter().any(|note| note.contains(what)), "{what}: {notes:?}");
    noted("live/mail.example.org/privkey.pem cannot be read");
    noted("has no usable certificate and key; the site keeps its own");
    noted("data/assets/ssl/cert.pem is missing");
    noted("data/assets/ssl/key.pem has mode 0644");
}

/// Starts a server that gives one answer. Also returns the request that it received.
async fn webhook(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = String::new();
        // The body ends with the brace that closes its JSON and may come in several pieces.
        while !asked.ends_with('}') {
            let mut piece = [0; 4096];
            let length = stream.read(&mut piece).await.unwrap();
            asked.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        asked
    });
    (port, asked)
}

/// Sends a failed run's events to the notifier with these settings.
async fn run(site: &Site, port: u16, settings: &str) {
    let toml = format!(
        "[[plugin]]\nname = \"bell\"\nsource = \"stock:notify\"\n\
         [plugin.grant]\nhttp = [\"http://127.0.0.1:{port}\"]\n\
         [plugin.config]\nurl = \"http://127.0.0.1:{port}/hook/mail\"\n{settings}\n"
    );
    let start = Event::Start {
        schema: SCHEMA,
        command: "update".to_owned(),
        version: "0.1.0".to_owned(),
        site: "/opt/mailcow".to_owned(),
        run: None,
        at: update().now.timestamp(),
    };
    let outcome = Event::Outcome {
        code: 13,
        exit: Exit::Prepare,
        message: "pulling failed".to_owned(),
        because: vec!["the registry answered 500".to_owned()],
        left: None,
        hints: Vec::new(),
        run: Some("42".to_owned()),
    };
    let mut plugins = site.load(&toml).await.unwrap();
    site.events.add_from_the_start(plugins.observe().unwrap());
    site.events.emit(start);
    plugins.finish_observers(&outcome, Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_is_posted() {
    let site = Site::new();
    let (port, asked) = webhook("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    run(&site, port, "format = \"ntfy\"\ntoken = \"secret\"\nsite = \"mail.example.org\"").await;
    let asked = asked.await.unwrap();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook/ HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("\r\nauthorization: bearer secret"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["topic"], "mail");
    assert_eq!(body["title"], "mail.example.org update: prepare");
    assert_eq!(body["message"], "pulling failed\nbecause the registry answered 500");
    assert_eq!(site.receipt("bell").failure, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_by_the_webhook_is_noted() {
    let site = Site::new();
    let (port, asked) = webhook("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    run(&site, port, "").await;
    assert!(asked.await.unwrap().contains("\"command\":\"update\""));
    let (class, message) = site.failure("bell");
    assert_eq!(class, Class::Error);
    assert!(message.contains("the server answered 403") && !message.contains("/hook"), "{message}");
}
