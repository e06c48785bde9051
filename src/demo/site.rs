//! A customised site: a clone of a throw-away upstream with everything a real one has, its stack,
//! and what it takes to end them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::engine::Engine;
use super::images::{Image, Images, LABEL};
use super::slot::Slot;
use super::upstream::Upstream;
use super::{certificate, wait};
use crate::digest::Digest;
use crate::error::{Context, Result};
use crate::process::{Command, Output};
use crate::stack::LOST_LEASE;

/// Seven services with mailcow's dependencies: enough for most purposes.
pub const SERVICES: &[&str] = &[
    "unbound-mailcow",
    "mysql-mailcow",
    "redis-mailcow",
    "php-fpm-mailcow",
    "dovecot-mailcow",
    "postfix-mailcow",
    "nginx-mailcow",
];

/// All that the throw-away upstream has.
pub const ALL_SERVICES: &[&str] = &[
    "unbound-mailcow",
    "mysql-mailcow",
    "redis-mailcow",
    "rspamd-mailcow",
    "php-fpm-mailcow",
    "memcached-mailcow",
    "dovecot-mailcow",
    "postfix-mailcow",
    "nginx-mailcow",
    "solr-mailcow",
];

/// The name and the tag of each image of the first release, and how it behaves.
fn first_images() -> Vec<(&'static str, &'static str, Image)> {
    vec![
        ("unbound", "1.24", image_of("unbound")),
        ("mariadb", "10.11", image_of("mariadb")),
        ("redis", "7.4-alpine", image_of("redis")),
        ("rspamd", "2.3", image_of("rspamd")),
        ("phpfpm", "1.93", image_of("phpfpm")),
        ("memcached", "alpine", image_of("memcached")),
        ("dovecot", "2.33", image_of("dovecot")),
        ("postfix", "1.80", image_of("postfix")),
        ("nginx", "1.03", image_of("nginx")),
        ("solr", "1.8", image_of("solr")),
    ]
}

/// Returns the image of this name, with its ports, the files that it reads and its volume.
pub fn image_of(name: &str) -> Image {
    match name {
        "unbound" => {
            Image::new().listens(53, "dns").env("READ", "/etc/unbound/unbound.conf").healthcheck()
        }
        "mariadb" => Image::new()
            .listens(3306, "mariadb")
            .env("WRITE", "/var/lib/mysql/starts")
            .command("mariadb-dump")
            .command("mariadb"),
        "redis" => Image::new()
            .listens(6379, "redis")
            .env("NEED", "REDISPASS")
            .env("WRITE", "/data/starts"),
        "rspamd" => Image::new().listens(11334, "http").env("WRITE", "/var/lib/rspamd/starts"),
        "phpfpm" => {
            Image::new().listens(9002, "fastcgi").env("READ", "/mailcowauth/functions.inc.php")
        }
        "memcached" => Image::new().listens(11211, "memcached"),
        "dovecot" => Image::new()
            .listens(143, "* OK [CAPABILITY IMAP4rev1] ready")
            .listens(4190, "\"IMPLEMENTATION\" \"sieve\"")
            .env("READ", "/etc/dovecot/dovecot.conf")
            .env("WRITE", "/var/vmail/starts"),
        "postfix" => Image::new()
            .listens(25, "220 mail.example.org ESMTP")
            .listens(587, "220 mail.example.org ESMTP")
            .env("READ", "/opt/postfix/conf/main.cf")
            .env("WRITE", "/var/spool/postfix/starts"),
        "nginx" => Image::new()
            .listens(80, "http")
            .listens(443, "http")
            .env("READ", "/etc/nginx/conf.d/site.conf"),
        "solr" => Image::new().listens(8983, "http"),
        _ => Image::new(),
    }
}

/// An upstream, the images of its first release in a registry, and a customised clone of it. Its
/// containers, networks, volumes, images and folders go when it is dropped.
pub struct Site {
    /// The upstream it follows.
    pub upstream: Upstream,
    /// Its images.
    pub images: Images,
    engine: Arc<Engine>,
    slot: Slot,
    folder: PathBuf,
    project: String,
}

impl Site {
    /// Makes one with these services. Its stack is not started; the registry at `HOST:PORT` serves
    /// its images.
    pub fn make(engine: Arc<Engine>, registry: &str, services: &[&str]) -> Result<Self> {
        Self::make_of(engine, |prefix| Images::new(registry, prefix), services)
    }

    /// The same from these images; they are told the first part of their names.
    pub fn make_of(
        engine: Arc<Engine>,
        images: impl FnOnce(&str) -> Images,
        services: &[&str],
    ) -> Result<Self> {
        let site = Self::empty(engine, images, services)?;
        let compose = site.upstream.read("docker-compose.yml")?;
        for (name, tag, image) in first_images() {
            if compose.contains(&site.images.reference(name, tag)) {
                site.images.push(name, tag, &image)?;
            }
        }
        Ok(site)
    }

    /// The same, but the registry gets no images: for what ends before they are needed.
    pub fn without_images(engine: Arc<Engine>, registry: &str, services: &[&str]) -> Result<Self> {
        Self::empty(engine, |prefix| Images::new(registry, prefix), services)
    }

    fn empty(
        engine: Arc<Engine>,
        images: impl FnOnce(&str) -> Images,
        services: &[&str],
    ) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let slot = Slot::take()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let project = format!("cowhand{}x{}x{count}", std::process::id(), slot.number());
        let images = images(&project);
        let folder = super::folder("site")?;
        let upstream = Upstream::create(&folder.join("upstream.git"), &images, services)?;
        let site = Self { upstream, images, engine, slot, folder, project };
        site.install()?;
        Ok(site)
    }

    /// Returns the site's directory.
    pub fn root(&self) -> PathBuf {
        self.folder.join("site")
    }

    /// Returns a directory outside the site, such as an external ACME client has.
    pub fn outside(&self) -> PathBuf {
        self.folder.join("acme")
    }

    /// The compose project's name.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The engine on which its stack runs.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its subnet and ports.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Writes a file of the site and creates its directories. The mode of an existing file stays.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.root().join(path);
        let doing = || format!("could not write {}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).what_with(doing)?;
        fs::write(&path, content).what_with(doing)
    }

    /// Changes a file of the site.
    pub fn edit(&self, path: &str, edit: impl FnOnce(String) -> String) -> Result<()> {
        self.write(path, edit(self.read(path)?))
    }

    /// A file of the site.
    pub fn read(&self, path: &str) -> Result<String> {
        let path = self.root().join(path);
        let bytes = fs::read(&path).what_with(|| format!("could not read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Runs git in the site and returns its output.
    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        let git =
            Command::new("git", Duration::from_mins(1)).arg("-C").arg(self.root()).args(arguments);
        Ok(wait(git.run_ok())?.text())
    }

    /// Runs `docker compose ARGUMENTS` in the site.
    pub fn compose(&self, arguments: &[&str]) -> Result<Output> {
        let compose = self.engine.docker().folder(&self.root()).arg("compose").args(arguments);
        self.engine.run(compose.run_ok())
    }

    /// Starts the stack and returns when its containers run.
    pub fn up(&self) -> Result<()> {
        let up = || {
            self.compose(&["--progress", "plain", "up", "--detach", "--remove-orphans"]).map(drop)
        };
        // Compose pulls images of shared layers side by side, in which Engine 20.10 now and then
        // loses a lease.
        up().or_else(|error| if error.summary().contains(LOST_LEASE) { up() } else { Err(error) })
    }

    /// The running containers: `SERVICE IMAGE ID`, sorted.
    pub fn containers(&self) -> Result<Vec<String>> {
        let filter = format!("label=com.docker.compose.project={}", self.project);
        let format = "{{.Label \"com.docker.compose.service\"}} {{.Image}} {{.ID}}";
        let mut lines =
            self.engine.lines(&["ps", "--no-trunc", "--filter", &filter, "--format", format])?;
        lines.sort();
        Ok(lines)
    }

    /// Returns a file's content as seen in a service's container.
    pub fn seen_by(&self, service: &str, path: &str) -> Result<String> {
        Ok(self.compose(&["exec", "-T", service, "/service", "cat", path])?.text())
    }

    /// Clones upstream and makes the clone the site of somebody who follows the documentation's
    /// advice.
    fn install(&self) -> Result<()> {
        let root = self.root();
        let url = self.upstream.folder().display().to_string();
        git2::Repository::clone(&url, &root).what("could not clone the throw-away upstream")?;
        self.write("mailcow.conf", self.mailcow_conf())?;
        fs::set_permissions(root.join("mailcow.conf"), fs::Permissions::from_mode(0o600))
            .what("could not protect mailcow.conf")?;
        self.certificates()?;
        self.customise()
    }

    fn mailcow_conf(&self) -> String {
        let secret = |name: &str| {
            Digest::of(format!("{}{name}", self.project).as_bytes()).hex()[..28].to_owned()
        };
        let port = |which| self.slot.port(which);
        format!(
            "# Written when the site was made.\nMAILCOW_HOSTNAME=mail.example.org\nMAILCOW_PASS_SCHEME=BLF-CRYPT\n\
             DBNAME=mailcow\nDBUSER=mailcow\nDBPASS={}\nDBROOT={}\nREDISPASS={}\n\
             HTTP_PORT={}\nHTTP_BIND=127.0.0.1\nHTTPS_PORT={}\nHTTPS_BIND=127.0.0.1\n\
             SMTP_PORT=127.0.0.1:{}\nSUBMISSION_PORT=127.0.0.1:{}\nIMAP_PORT=127.0.0.1:{}\nSIEVE_PORT=127.0.0.1:{}\n\
             SQL_PORT=127.0.0.1:{}\nSOLR_PORT=127.0.0.1:{}\nTZ=Europe/Berlin\nCOMPOSE_PROJECT_NAME={}\n\
             DOCKER_COMPOSE_VERSION=native\nIPV4_NETWORK={}\nENABLE_IPV6=false\n",
            secret("db"),
            secret("root"),
            secret("redis"),
            port(1),
            port(2),
            port(3),
            port(4),
            port(5),
            port(6),
            port(7),
            port(8),
            self.project,
            self.slot.network(),
        )
    }

    /// Certificates of an external client, linked into the site; upstream's examples rewritten, as
    /// its generator does.
    fn certificates(&self) -> Result<()> {
        let (root, outside) = (self.root(), self.outside());
        fs::create_dir_all(&outside).what("could not make the folder outside the site")?;
        let mail = certificate::for_name("mail.example.org")?;
        fs::write(outside.join("fullchain.pem"), mail.certificate)
            .what("could not write a certificate")?;
        fs::write(outside.join("privkey.pem"), &mail.key).what("could not write a key")?;
        let example = certificate::for_name("mail.example.org")?;
        self.write("data/assets/ssl-example/cert.pem", &example.certificate)?;
        self.write("data/assets/ssl-example/key.pem", &example.key)?;
        self.write("data/assets/ssl/dhparams.pem", "# stands for Diffie-Hellman parameters\n")?;
        let ssl = root.join("data/assets/ssl");
        symlink("../../../../acme/fullchain.pem", ssl.join("cert.pem"))
            .what("could not link a certificate")?;
        fs::write(ssl.join("key.pem"), mail.key).what("could not write a key")?;
        fs::set_permissions(ssl.join("key.pem"), fs::Permissions::from_mode(0o600))
            .what("could not protect a key")
    }

    /// The files that the documentation tells people to write, and edits in tracked files that they
    /// make all the same.
    fn customise(&self) -> Result<()> {
        self.write("docker-compose.override.yml", OVERRIDE)?;
        self.write(
            "data/conf/postfix/extra.cf",
            "myhostname = mail.example.org\nmessage_size_limit = 52428800\n",
        )?;
        self.write("data/conf/dovecot/extra.conf", "mail_max_userip_connections = 50\n")?;
        self.write("data/conf/nginx/site.theme.custom", "location /theme { alias /web/theme; }\n")?;
        self.write("data/conf/rspamd/local.d/ratelimit.conf", "rates { to = \"100 / 1h\"; }\n")?;
        self.write("data/conf/rspamd/custom/bad_words.map", "/lottery/i\n")?;
        self.write("data/conf/rspamd/override.d/worker-proxy.inc", "max_retries = 3;\n")?;
        self.write("data/web/inc/vars.local.inc.php", "<?php\n$SHOW_LAST_LOGIN = false;\n")?;
        self.write("data/hooks/unbound/00-site.sh", "#!/bin/bash\necho 'hook of the site'\n")?;
        // Postfix rewrites everything below the last line of its main.cf at each start.
        self.edit("data/conf/postfix/main.cf", |text| {
            text + "myhostname = mail.example.org\nmessage_size_limit = 52428800\n"
        })?;
        self.edit("data/conf/dovecot/conf.d/fts.conf", |text| {
            text.replace("fts_languages = en", "fts_languages = en de")
        })
    }

    fn end(&self) -> Result<()> {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let ours = format!("label={LABEL}={}", self.project);
        let engine = &self.engine;
        let remove = |list: &[&str], remove: &[&str]| -> Result<()> {
            let found = engine.lines(list)?;
            if found.is_empty() {
                return Ok(());
            }
            wait(engine.docker().args(remove).args(&found).run()).map(drop)
        };
        remove(&["ps", "--all", "--quiet", "--filter", &project], &["rm", "--force", "--volumes"])?;
        remove(&["network", "ls", "--quiet", "--filter", &project], &["network", "rm"])?;
        remove(&["volume", "ls", "--quiet", "--filter", &project], &["volume", "rm"])?;
        remove(
            &["images", "--all", "--quiet", "--no-trunc", "--filter", &ours],
            &["rmi", "--force"],
        )
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Failures cannot be reported here; leftovers have the project's name.
        let _ = self.end();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const OVERRIDE: &str = "\
services:
  postfix-mailcow:
    labels:
      site.example.org/backup: \"yes\"
  nginx-mailcow:
    volumes:
      - ./data/hooks/unbound/00-site.sh:/hooks/site.sh:ro
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_has_the_shape_of_a_real_one() {
        let site =
            Site::without_images(Arc::new(Engine::at("unix:///nowhere")), "127.0.0.1:9", SERVICES)
                .unwrap();
        let changed = site.git(&["status", "--porcelain"]).unwrap();
        let expected = [
            "M data/assets/ssl-example/cert.pem",
            " M data/assets/ssl-example/key.pem",
            " M data/conf/dovecot/conf.d/fts.conf",
            " M data/conf/postfix/main.cf",
        ];
        assert_eq!(changed.trim_start(), expected.join("\n"));
        assert!(site.git(&["ls-files", "-s", ".env"]).unwrap().starts_with("120000"));
        assert!(
            site.root()
                .join("data/assets/ssl/cert.pem")
                .canonicalize()
                .unwrap()
                .starts_with(site.outside().canonicalize().unwrap())
        );
    }
}
