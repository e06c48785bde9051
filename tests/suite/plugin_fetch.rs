//! Plugins that come from elsewhere: a registry, an https server; and signatures. What is fetched
//! is fetched when it is added, never in a run.

use std::fs;

use cowhand::demo::registry::Registry;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::OciImageManifest;
use oci_client::secrets::RegistryAuth;
use sha2::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::probe::{another_probe, probe};
use crate::support::site::Site;
use crate::support::{tests, world};

tests! {
    Nothing: an_https_address_needs_a_digest_and_is_held_to_it,
    keys_of_the_site_decide_whose_plugins_it_takes;
    Stack: a_component_from_a_registry_is_pinned_and_a_run_needs_no_registry,
    a_reference_written_by_hand_is_fetched_when_it_is_approved,
    an_image_that_is_no_component_is_told;
}

/// Pushes a component as `wkg oci push` does: the component is the one layer. The reference and the
/// manifest's digest.
fn push(registry: &str, name: &str, layer: &str, bytes: Vec<u8>) -> (String, String) {
    let reference = format!("{registry}/{name}");
    let image = reference.parse().unwrap();
    let client =
        Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    let config = br#"{"architecture":"wasm","os":"wasip2","created":"2026-11-24T00:00:00Z","layerDigests":[]}"#;
    let config =
        Config::new(config.to_vec(), "application/vnd.wasm.config.v0+json".to_owned(), None);
    let layers = [ImageLayer::new(bytes, layer.to_owned(), None)];
    let manifest = OciImageManifest::build(&layers, &config, None);
    let pushing = async {
        client
            .push(&image, &layers, config, &RegistryAuth::Anonymous, Some(manifest))
            .await
            .unwrap();
        client.fetch_manifest_digest(&image, &RegistryAuth::Anonymous).await.unwrap()
    };
    (reference, runtime().block_on(pushing))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// The only entry of the lock file.
fn pinned(site: &Site) -> toml::Table {
    let lock: toml::Table = site.file("cowhand.lock").parse().unwrap();
    let [one] = lock["plugin"].as_array().unwrap().as_slice() else { panic!("{lock}") };
    one.as_table().unwrap().clone()
}

fn a_component_from_a_registry_is_pinned_and_a_run_needs_no_registry() {
    let registry = Registry::start().unwrap();
    let site = Site::without_engine().behind_one_release();
    let (reference, manifest) =
        push(registry.address(), "acme/policy:1", "application/wasm", fs::read(probe()).unwrap());
    site.cowhand(["plugin", "inspect", &reference])
        .exits(0)
        .says("requests env PROBE")
        .says(&sha256(&fs::read(probe()).unwrap()));
    site.cowhand(["plugin", "add", &reference, "--yes"]).exits(0).says("Added `policy`");
    let pin = pinned(&site);
    assert_eq!(pin["digest"].as_str(), Some(sha256(&fs::read(probe()).unwrap()).as_str()));
    assert_eq!(
        (pin["manifest"].as_str(), pin["source"].as_str()),
        (Some(manifest.as_str()), Some(reference.as_str()))
    );
    // The tag moves: a run takes what was approved, and asks nobody.
    let newer = another_probe("newer");
    push(registry.address(), "acme/policy:1", "application/wasm", newer.clone());
    let asked = registry.log().len();
    site.cowhand(["plan", "--until", "merge"]).exits(0);
    assert_eq!(registry.log().len(), asked, "a run fetches nothing");
    site.cowhand(["plugin", "add", &reference, "--yes"]).exits(0).says("since its approval");
    assert_eq!(pinned(&site)["digest"].as_str(), Some(sha256(&newer).as_str()));
    // Local components are checked each time.
    let file =
        site.root().join(".git/cowhand/plugins").join(sha256(&newer).replace(':', "-") + ".wasm");
    fs::write(&file, another_probe("other")).unwrap();
    site.cowhand(["plan", "--until", "merge"])
        .exits(10)
        .says("is damaged")
        .says("cowhand plugin approve policy");
    // The tag moves on: what was approved is fetched again all the same.
    push(registry.address(), "acme/policy:1", "application/wasm", another_probe("newest"));
    site.cowhand(["plugin", "approve", "policy", "--yes"]).exits(0);
    assert_eq!(pinned(&site)["digest"].as_str(), Some(sha256(&newer).as_str()));
    drop(registry);
    site.cowhand(["plan", "--until", "merge"]).exits(0);
    site.cowhand(["plugin", "remove", "policy"]).exits(0);
    assert!(!file.exists());
    site.cowhand(["plan", "--until", "merge"]).exits(0);
}

fn a_reference_written_by_hand_is_fetched_when_it_is_approved() {
    let (reference, manifest) =
        push(&world::registry(), "acme/by-hand:1", "application/wasm", fs::read(probe()).unwrap());
    let name = reference.rsplit_once(':').unwrap().0;
    let site = Site::without_engine().behind_one_release();
    let toml = format!("[[plugin]]\nname = \"mine\"\nsource = \"oci://{name}@{manifest}\"\n");
    let site = site.has("cowhand.toml", &toml);
    site.cowhand(["plan", "--until", "merge"]).exits(10).says("is not fetched yet");
    site.cowhand(["plugin", "approve", "--yes"]).exits(0);
    site.cowhand(["plan", "--until", "merge"]).exits(0);
    assert_eq!(site.file("cowhand.toml"), toml);
}

fn an_image_that_is_no_component_is_told() {
    let (reference, _) = push(
        &world::registry(),
        "acme/image:1",
        "application/vnd.oci.image.layer.v1.tar",
        vec![1; 100],
    );
    let site = Site::without_engine();
    let before = site.state();
    site.cowhand(["plugin", "add", &reference, "--yes"]).exits(13).says("not WebAssembly");
    let missing = reference.replace("image:1", "missing:1");
    site.cowhand(["plugin", "add", &missing, "--yes"]).exits(13).says("ould not fetch");
    let (broken, _) =
        push(&world::registry(), "acme/broken:1", "application/wasm", b"no component".to_vec());
    site.cowhand(["plugin", "add", &broken, "--yes"]).exits(10).says("not WebAssembly");
    site.is_untouched_since(&before);
}

/// An https server on loopback that gives the probe at `/probe.wasm`, and sends on to there from
/// `/moved` and to plain http from
/// `/plain`. Its port, the certificate to trust, and who would answer to plain http.
struct Server {
    port: u16,
    root: tempfile::NamedTempFile,
    plain: std::net::TcpListener,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start() -> Self {
        let made = cowhand::demo::certificate::for_name("localhost").unwrap();
        let root = tempfile::NamedTempFile::new().unwrap();
        fs::write(root.path(), &made.certificate).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(made.server().unwrap());
        let runtime = runtime();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        plain.set_nonblocking(true).unwrap();
        let to_plain =
            format!("http://localhost:{}/probe.wasm", plain.local_addr().unwrap().port());
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut asked = [0; 1024];
                let length = stream.read(&mut asked).await.unwrap_or(0);
                let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
                let (head, body) = match asked.split(' ').nth(1) {
                    Some("/plain") => (format!("302 Found\r\nlocation: {to_plain}"), Vec::new()),
                    Some("/moved") => ("302 Found\r\nlocation: /probe.wasm".to_owned(), Vec::new()),
                    _ => ("200 OK".to_owned(), fs::read(probe()).unwrap()),
                };
                let head = format!(
                    "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(&[head.into_bytes(), body].concat()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, root, plain, _runtime: runtime }
    }

    fn address(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.port)
    }
}

fn an_https_address_needs_a_digest_and_is_held_to_it() {
    let server = Server::start();
    let site = Site::without_engine().behind_one_release();
    let (address, digest) = (server.address("probe.wasm"), sha256(&fs::read(probe()).unwrap()));
    let add = |address: &str, digest: &str| {
        let add = ["plugin", "add", address, "--name", "mine", "--yes", "--digest", digest];
        site.prepared(add).env("SSL_CERT_FILE", server.root.path()).run()
    };
    let before = site.state();
    site.cowhand(["plugin", "add", &address, "--yes"]).exits(2).says("--digest sha256:");
    add(&address, &sha256(b"other")).exits(10).says("has an unexpected digest");
    add(&server.address("plain"), &digest).exits(13).says("ould not fetch");
    assert!(server.plain.accept().is_err(), "plain http was asked");
    // Without the root the server is nobody.
    let add_blindly = ["plugin", "add", &address, "--name", "mine", "--yes", "--digest", &digest];
    site.prepared(add_blindly).env("SSL_CERT_FILE", "/dev/null").run().exits(13);
    site.is_untouched_since(&before);
    add(&server.address("moved"), &digest.to_uppercase().replace("SHA256:", "")).exits(0);
    add(&address, &digest).exits(0);
    assert_eq!(pinned(&site)["source"].as_str(), Some(address.as_str()));
    drop(server);
    site.cowhand(["plan", "--until", "merge"]).exits(0);
}

/// A pair of minisign's: the public key as in its file, and what signs as it does.
struct Signer(ring::signature::Ed25519KeyPair);

impl Signer {
    fn new(seed: u8) -> Self {
        Self(ring::signature::Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn key(&self) -> String {
        use ring::signature::KeyPair;
        base64(&[b"Ed\x01\x02\x03\x04\x05\x06\x07\x08", self.0.public_key().as_ref()].concat())
    }

    fn sign(&self, bytes: &[u8]) -> String {
        let signature = self.0.sign(bytes);
        let comment = "timestamp:1795000000";
        let global = self.0.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let line = base64(&[b"Ed\x01\x02\x03\x04\x05\x06\x07\x08", signature.as_ref()].concat());
        format!(
            "untrusted comment: a test\n{line}\ntrusted comment: {comment}\n{}\n",
            base64(global.as_ref())
        )
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS[bits as usize & 63]);
    let group = |group: &[u8]| {
        let bits =
            group.iter().chain([&0, &0]).take(3).fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        let digits: String =
            [18, 12, 6, 0].map(|shift| digit(bits >> shift)).iter().take(group.len() + 1).collect();
        format!("{digits:=<4}")
    };
    bytes.chunks(3).map(group).collect()
}

fn keys_of_the_site_decide_whose_plugins_it_takes() {
    let (ours, theirs) = (Signer::new(1), Signer::new(2));
    let site = Site::without_engine().behind_one_release();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.wasm");
    let (component, beside) = (another_probe("signed"), folder.path().join("mine.wasm.minisig"));
    fs::write(&file, &component).unwrap();
    let add = ["plugin", "add", file.to_str().unwrap(), "--yes"];
    let toml = format!("[trust]\nkeys = [\"{}\"] # ours\n", ours.key());
    let site = site.has("cowhand.toml", &toml);
    let before = site.state();
    site.cowhand(add).exits(10).says("is not signed");
    for (wrong, why) in [
        (theirs.sign(&component), "is not signed by any"),
        (ours.sign(b"something else"), "is not signed by any"),
        ("no signature\n".to_owned(), "has a signature that cannot be read"),
    ] {
        fs::write(&beside, wrong).unwrap();
        site.cowhand(add).exits(10).says(why);
    }
    site.is_untouched_since(&before);
    fs::write(&beside, ours.sign(&component)).unwrap();
    site.cowhand(add).exits(0);
    fs::remove_file(&beside).unwrap();
    site.cowhand(["plan", "--until", "merge"]).exits(0);
    // Another key for the site: what the old one signed is not taken any more.
    let now = site.file("cowhand.toml").replace(&ours.key(), &theirs.key());
    let site = site.has("cowhand.toml", &now);
    site.cowhand(["plan", "--until", "merge"]).exits(10).says("not signed by any");
    let signature = folder.path().join("elsewhere");
    fs::write(&signature, theirs.sign(&component)).unwrap();
    let add = [
        "plugin",
        "add",
        file.to_str().unwrap(),
        "--yes",
        "--signature",
        signature.to_str().unwrap(),
    ];
    site.cowhand(add).exits(0);
    site.cowhand(["plan", "--until", "merge"]).exits(0);
    site.has("cowhand.toml", "[trust]\nkeys = [\"nonsense\"]\n")
        .cowhand(["plan"])
        .exits(2)
        .says("is not a minisign key");
}
