//! Sites for tests: `Site::customised().behind_one_release().running()`.

use std::ops::Deref;
use std::sync::Arc;

use cowhand::demo::engine::Engine;
use cowhand::demo::images::Images;
use cowhand::demo::site::{self, SERVICES, image_of};

use super::ran::{Cowhand, Ran};
use super::world;

/// A throw-away site with what tests do with it. Everything of it goes when it is dropped, also
/// when the test fails.
pub struct Site(site::Site);

impl Deref for Site {
    type Target = site::Site;

    fn deref(&self) -> &site::Site {
        &self.0
    }
}

impl Site {
    /// A site in mailcow's shape with the usual customisations; its stack is not running, and
    /// upstream has nothing new.
    pub fn customised() -> Self {
        Self::with_services(SERVICES)
    }

    /// The same with other services.
    pub fn with_services(services: &[&str]) -> Self {
        Self(
            site::Site::make(world::engine(), &world::registry(), services)
                .expect("a site is made"),
        )
    }

    /// The same with its images in another registry than the suite's.
    pub fn on_registry(registry: &str) -> Self {
        Self(site::Site::make(world::engine(), registry, SERVICES).expect("a site is made"))
    }

    /// One with these services alone, on an engine of its own, from the registry that is its
    /// mirror: no reference names one.
    pub fn mirrored(engine: Arc<Engine>, mirror: &str, services: &[&str]) -> Self {
        let site =
            site::Site::make_of(engine, |prefix| Images::new(mirror, prefix).unnamed(), services);
        Self(site.expect("a site is made")).has("docker-compose.override.yml", "services: {}\n")
    }

    /// One with these services alone, on an engine of its own.
    pub fn on_engine(engine: Arc<Engine>, services: &[&str]) -> Self {
        let site = site::Site::make(engine, &world::registry(), services).expect("a site is made");
        Self(site).has("docker-compose.override.yml", "services: {}\n")
    }

    /// The same for tests that need neither engine nor registry: none of them answers.
    pub fn without_engine() -> Self {
        Self::without_engine_and(SERVICES)
    }

    /// The same with other services.
    pub fn without_engine_and(services: &[&str]) -> Self {
        let nowhere = cowhand::demo::engine::Engine::at("unix:///nonexistent/docker.sock");
        Self(
            site::Site::without_images(nowhere.into(), "127.0.0.1:9", services)
                .expect("a site is made"),
        )
    }

    /// Upstream publishes 2026-03: a new postfix image and a changed file that php-fpm mounts.
    /// Nothing of it conflicts.
    pub fn behind_one_release(self) -> Self {
        if self.has_engine() {
            self.pushes("postfix", "1.81");
        }
        self.upstream
            .release("2026-03")
            .image("postfix", "1.81")
            .replace(
                "data/web/inc/functions.inc.php",
                "htmlspecialchars($title)",
                "htmlspecialchars($title, ENT_QUOTES)",
            )
            .publish()
            .expect("a release is published");
        self
    }

    /// Returns true if the site's engine answers.
    pub fn has_engine(&self) -> bool {
        self.engine().host().is_none_or(|host| !host.contains("nonexistent"))
    }

    /// The stack is started.
    pub fn running(self) -> Self {
        self.up().expect("the stack starts");
        self
    }

    /// The registry gets another tag of an image.
    pub fn pushes(&self, name: &str, tag: &str) -> String {
        self.images
            .push(name, tag, &image_of(name).label("fixture.tag", tag))
            .expect("an image is pushed")
    }

    /// A local edit: `from` becomes `to` in a file, which contains it.
    pub fn edited(self, path: &str, from: &str, to: &str) -> Self {
        self.edit(path, |text| {
            assert!(text.contains(from), "{path} has no `{from}`");
            text.replace(from, to)
        })
        .expect("a file is edited");
        self
    }

    /// Writes a file of the site.
    pub fn has(self, path: &str, content: &str) -> Self {
        self.write(path, content).expect("a file is written");
        self
    }

    /// Runs `cowhand ARGUMENTS --site SITE` on this site's engine.
    pub fn cowhand<const N: usize>(&self, arguments: [&str; N]) -> Ran {
        self.runs(&arguments)
    }

    /// The same.
    pub fn runs(&self, arguments: &[&str]) -> Ran {
        self.prepare(arguments).run()
    }

    /// The same, for more to be said before it runs.
    pub fn prepared<const N: usize>(&self, arguments: [&str; N]) -> Cowhand {
        self.prepare(&arguments)
    }

    /// The same.
    pub fn prepare(&self, arguments: &[&str]) -> Cowhand {
        self.by(super::ran::binary(), arguments)
    }

    /// The same by another program, that starts it.
    pub fn by(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Cowhand {
        let root = self.root().display().to_string();
        let site = ["--site", &root];
        let command = Cowhand::of(program, arguments.iter().copied().chain(site));
        match self.engine().host() {
            Some(host) => command.env("DOCKER_HOST", host),
            None => command,
        }
    }

    /// Git in the site; demands success.
    pub fn git<const N: usize>(&self, arguments: [&str; N]) -> String {
        self.0.git(&arguments).expect("git succeeds")
    }

    /// The text of a file of the site.
    pub fn file(&self, path: &str) -> String {
        self.read(path).expect("the file is there")
    }

    /// Returns true if there is a file, a directory or a link, dangling or not.
    pub fn has_path(&self, path: &str) -> bool {
        self.root().join(path).symlink_metadata().is_ok()
    }

    /// The id of a service's container.
    pub fn container(&self, service: &str) -> String {
        let containers = self.containers().expect("the engine lists containers");
        let found = containers
            .iter()
            .find_map(|line| line.strip_prefix(service)?.split(' ').nth(2).map(str::to_owned));
        found.unwrap_or_else(|| panic!("{service} has no running container: {containers:#?}"))
    }

    /// A service's container and since when it runs.
    pub fn started(&self, service: &str) -> String {
        let inspect =
            ["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", &self.container(service)];
        self.engine().lines(&inspect).expect("the engine knows the container").remove(0)
    }

    /// The kept copies of the last run whose path ends with this, as texts.
    pub fn kept(&self, path: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.root().join(".git/cowhand/runs")];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let entry = entry.path();
                if entry.is_dir() && !entry.is_symlink() {
                    open.push(entry);
                } else if entry.ends_with(path) {
                    found.push(std::fs::read_to_string(&entry).unwrap_or_default());
                }
            }
        }
        found
    }
}
