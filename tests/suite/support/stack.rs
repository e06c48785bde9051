//! A site's stack as the program sees it: the parts of `cowhand::stack`, each by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use cowhand::demo::watch::{Seen, Watch};
use cowhand::error::{Error, Result};
use cowhand::event::Events;
use cowhand::path::SitePath;
use cowhand::stack::change::{Action, ImageChange};
use cowhand::stack::changes::{self, Changes, Situation};
use cowhand::stack::images::{self, Held, Pulled};
use cowhand::stack::start::{self, Outdated, Start};
use cowhand::stack::verify::{self, Limits, Unwell};
use cowhand::stack::{Compose, ComposeFiles, Endpoint, Engine, Resolved};

use super::site::Site;

/// Enough where only redis and postfix matter.
pub const FEW: &[&str] = &["unbound-mailcow", "mysql-mailcow", "redis-mailcow", "postfix-mailcow"];

/// A site with these services alone; its override names others.
pub fn small(services: &[&str]) -> Site {
    Site::with_services(services).has("docker-compose.override.yml", "services: {}\n")
}

/// A site's stack as the program sees it.
pub struct Stack {
    /// The site.
    pub site: Site,
    /// Its engine, as the program has it.
    pub engine: Engine,
    /// Its compose.
    pub compose: Compose,
    runtime: tokio::runtime::Runtime,
}

impl Stack {
    /// A site's stack; the site may be running or not.
    pub fn of(site: Site) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let endpoint = Endpoint::at(site.engine().host().unwrap());
        let found = runtime.block_on(async {
            Ok::<_, Error>((Engine::at(&endpoint).await?, Compose::detect(&endpoint).await?))
        });
        let (engine, compose) = found.unwrap();
        Self { site, engine, compose, runtime }
    }

    /// Waits for what a part of the stack does.
    pub fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(future)
    }

    /// The site's compose files.
    pub fn files(&self) -> ComposeFiles {
        let root = self.site.root();
        let files = ["docker-compose.yml", "docker-compose.override.yml"]
            .map(|name| root.join(name))
            .to_vec();
        ComposeFiles { project_directory: root, files, ..ComposeFiles::default() }
    }

    /// The resolved configurations.
    pub fn resolve(&self) -> Resolved {
        self.wait(self.compose.resolve(&self.files())).unwrap()
    }

    /// The images that a configuration needs.
    pub fn plan(&self, resolved: &Resolved, offline: bool) -> Result<Vec<ImageChange>> {
        self.wait(async {
            let containers = self.engine.containers(&resolved.project).await?;
            images::plan(&self.engine, resolved, &containers, offline, &Events::default()).await
        })
    }

    /// Brings them here.
    pub fn pull(&self, images: &[ImageChange]) -> Result<Vec<Pulled>> {
        self.wait(images::pull(&self.engine, images, &Events::default()))
    }

    /// Returns the required changes.
    pub fn changes(
        &self,
        old: &Resolved,
        new: &Resolved,
        images: &[ImageChange],
        files: &[&str],
    ) -> Changes {
        let containers = self.wait(self.engine.containers(&old.project)).unwrap();
        let changed_paths: Vec<SitePath> = files.iter().map(|path| SitePath::from(*path)).collect();
        let site_root = self.site.root();
        changes::compute(&Situation {
            old,
            new,
            containers: &containers,
            images,
            changed_paths: &changed_paths,
            site_root: &site_root,
            read_live: &["data/web"],
        })
    }

    /// Does what an update does once its files are in place, which is now.
    pub fn start(
        &self,
        old: &ComposeFiles,
        resolved: &Resolved,
        changes: &Changes,
        images: &[(String, String)],
    ) {
        self.starts_within(Duration::from_mins(2), old, resolved, changes, images).unwrap();
    }

    /// The same, and gives the failure. A service may take two seconds longer than its own check
    /// allows it to be healthy.
    pub fn tries_to_start(
        &self,
        old: &ComposeFiles,
        resolved: &Resolved,
        changes: &Changes,
        images: &[(String, String)],
    ) -> Result<()> {
        self.starts_within(Duration::from_secs(2), old, resolved, changes, images)
    }

    fn starts_within(
        &self,
        healthy: Duration,
        old: &ComposeFiles,
        resolved: &Resolved,
        changes: &Changes,
        images: &[(String, String)],
    ) -> Result<()> {
        let new = self.files();
        let (compose, engine) = (&self.compose, &self.engine);
        let outdated = Outdated { from: None, until: jiff::Timestamp::now() };
        let turn = self.site.root().join("../turn");
        let start = Start {
            compose,
            engine,
            old,
            new: &new,
            resolved,
            changes,
            images,
            outdated,
            healthy,
            turn: &turn,
        };
        self.wait(async {
            if !changes.down.is_empty() {
                start::down(&start, &Events::default()).await?;
            }
            start::apply(&start, &Events::default()).await
        })
    }

    /// Returns the unhealthy services, with limits that suit a test.
    pub fn verify(&self, resolved: &Resolved) -> Vec<Unwell> {
        let [settle, running, healthy, ports] = [1, 4, 4, 4].map(Duration::from_secs);
        let limits = Limits { settle, running, healthy, ports };
        self.wait(verify::check(&self.engine, resolved, &limits, &Events::default())).unwrap()
    }

    /// Tags what runs.
    pub fn hold(&self, run: &str) -> Held {
        let project = self.site.project();
        self.wait(async {
            let containers = self.engine.containers(project).await?;
            images::hold(&self.engine, project, run, &containers).await
        })
        .unwrap()
    }

    /// The id that a reference means.
    pub fn id(&self, reference: &str) -> Option<String> {
        self.wait(self.engine.image(reference)).unwrap().map(|image| image.id)
    }

    /// `docker image prune`, as by hand, and held to this site's images: other tests have theirs on
    /// the same engine.
    pub fn prunes_by_hand(&self) {
        let ours = format!("label={}={}", cowhand::demo::images::LABEL, self.site.images.prefix());
        self.site.engine().lines(&["image", "prune", "--force", "--filter", &ours]).unwrap();
    }

    /// Lets a service have another tag.
    pub fn wants(&self, name: &str, from: &str, to: &str) {
        self.site
            .edit("docker-compose.yml", |text| {
                text.replace(&format!("/{name}:{from}"), &format!("/{name}:{to}"))
            })
            .unwrap();
    }
}

/// Returns the changes and their actions.
pub fn actions(changes: &Changes) -> Vec<(&str, Action)> {
    let moving = changes.services.iter().filter(|change| change.action != Action::Keep);
    moving.map(|change| (change.service.as_str(), change.action)).collect()
}

/// Returns the images behind the references.
pub fn meanings(pulled: &[Pulled]) -> Vec<(String, String)> {
    pulled.iter().map(|one| (one.reference.clone(), one.image_id.clone())).collect()
}

/// Returns the interruptions of a site's services during an action.
pub fn meanwhile(site: &Site, act: impl FnOnce()) -> BTreeMap<String, Seen> {
    let watch = Watch::begin(site.engine(), site.project()).unwrap();
    act();
    watch.end().unwrap()
}

/// The services that were interrupted.
pub fn interrupted(seen: &BTreeMap<String, Seen>) -> Vec<&str> {
    seen.iter()
        .filter(|(_, seen)| seen.is_interrupted())
        .map(|(service, _)| service.as_str())
        .collect()
}
