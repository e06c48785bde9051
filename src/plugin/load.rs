//! Loading the plugins of a site, before anything else is done: one that cannot work is found now, not half-way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use wasmtime::component::Linker;

use super::Plugins;
use super::about::About;
use super::cache::Cache;
use super::code::Code;
use super::digest::Digest;
use super::engine::engine;
use super::grant::{Permissions, Protected};
use super::inspect::inspect_known;
use super::instance::Plugin;
use super::request::Request;
use super::sandbox::{State, linker};
use super::source::{self, STOCK_PREFIX};
use super::spec::{Grant, Hook, OnFailure, Policy, Spec};
use super::stock::{STOCK, Stock};
use super::types::TextMerge;
use crate::error::{Context, Error, Result};
use crate::event::Events;
use crate::exit::Exit;

/// What loading needs beside the configuration.
#[derive(Clone)]
pub struct Options {
    /// The site's folder.
    pub site: PathBuf,
    /// Where compiled components are kept; none compiles each time.
    pub cache: Option<Cache>,
    /// Whether all requests are refused, as `plan` does.
    pub offline: bool,
    /// Where receipts, refusals and the plugins' own log go.
    pub events: Events,
    /// The text merge that resolvers may use.
    pub text_merge: Arc<dyn TextMerge>,
}

/// One loaded plugin, for `plugin list`.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Where it came from.
    pub source: String,
    /// Of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: usize,
    /// The hooks at which it is asked.
    pub hooks: Vec<Hook>,
    /// The version of the hooks that it is made for.
    pub version: String,
    /// What it requests.
    pub requests: Vec<Request>,
    /// What it may do: requested and granted.
    pub effective: Effective,
}

/// What a plugin may do.
#[derive(Clone, Debug, Serialize)]
pub struct Effective {
    /// Folders that it may read, links resolved.
    pub read: Vec<PathBuf>,
    /// Folders for which it may hand over files.
    pub install: Vec<String>,
    /// Hosts to which it may send requests.
    pub http: Vec<String>,
    /// Environment variables that it may see.
    pub env: Vec<String>,
    /// Bytes of memory.
    pub memory: u64,
    /// How long a call may take, in milliseconds.
    pub time_ms: u64,
}

impl Plugins {
    /// Loads the plugins that a site names, in its order, and after them the stock plugins that every site has, unless named. What the site
    /// names is compiled, or taken from the cache, and instantiated once, so that a plugin that cannot work is found now; a stock
    /// plugin with nothing but its defaults is part of this program and starts when it is first asked.
    pub async fn load(specs: &[Spec], options: &Options) -> Result<Self> {
        let linker = linker(engine()?).what("could not set up the plugin host")?;
        let loader = Loader { options, protected: Protected::of(&options.site), linker: Arc::new(linker) };
        loader.load(specs).await.map_err(|error| error.or_exit(Exit::Refused))
    }

    /// The plugins in the order in which they are asked.
    pub fn list(&self) -> Vec<Listed> {
        self.chain.iter().map(listed).collect()
    }
}

fn listed(plugin: &Plugin) -> Listed {
    let (about, found) = (&plugin.about, plugin.inspection.clone());
    let may = &about.permissions;
    Listed {
        name: about.name.clone(),
        source: about.source.clone(),
        digest: found.digest,
        size: found.size,
        hooks: found.hooks,
        version: found.version,
        requests: found.requests,
        effective: Effective {
            read: may.read.iter().map(|folder| folder.path.clone()).collect(),
            install: may.install.iter().map(ToString::to_string).collect(),
            http: may.http.iter().map(ToString::to_string).collect(),
            env: may.env.clone(),
            memory: about.memory,
            time_ms: u64::try_from(about.time.as_millis()).unwrap_or(u64::MAX),
        },
    }
}

struct Loader<'a> {
    options: &'a Options,
    protected: Protected,
    linker: Arc<Linker<State>>,
}

impl Loader<'_> {
    async fn load(&self, specs: &[Spec]) -> Result<Plugins> {
        let mut plugins = Vec::new();
        for spec in specs {
            match self.load_one(spec, true).await {
                Ok(plugin) => plugins.push(plugin),
                Err(error) => self.unavailable(spec, error)?,
            }
        }
        for Stock { name, .. } in STOCK.iter().filter(|stock| stock.everywhere) {
            let source = format!("{STOCK_PREFIX}{name}");
            if specs.iter().all(|spec| spec.source != source) {
                let taken = specs.iter().any(|spec| spec.name == *name);
                let spec = Spec {
                    name: if taken { source.clone() } else { (*name).to_owned() },
                    source,
                    on_failure: None,
                    grant: Grant::default(),
                    config: serde_json::Value::Object(serde_json::Map::new()),
                };
                plugins.push(self.load_one(&spec, false).await?);
            }
        }
        Ok(Plugins { chain: plugins, observing: Vec::new(), events: self.options.events.clone() })
    }

    /// A plugin that a site can do without is left out; what it would have been asked is not known, so a table of hooks does not help.
    fn unavailable(&self, spec: &Spec, error: Error) -> Result<()> {
        match spec.on_failure {
            Some(OnFailure::All(Policy::Skip)) => Ok(()),
            Some(OnFailure::All(Policy::Warn)) => {
                self.options.events.warn(error.summary(), error.hints().first().cloned());
                Ok(())
            }
            _ => Err(error),
        }
    }

    async fn load_one(&self, spec: &Spec, listed: bool) -> Result<Plugin> {
        let read = source::read(&spec.source, &self.options.site);
        let (bytes, digest) = read.map_err(|error| unusable(spec, &error))?;
        let inspection = inspect_known(&bytes, digest).map_err(|error| unusable(spec, &error))?;
        let (offline, requests) = (self.options.offline, &inspection.requests);
        let (permissions, idle) = Permissions::new(spec, requests, &self.protected, listed, offline)?;
        for grant in idle {
            let what = format!("the plugin `{}` does not request what it was granted: {grant}", spec.name);
            self.options.events.warn(what, None);
        }
        let about = About {
            name: spec.name.clone(),
            source: spec.source.clone(),
            digest: inspection.digest.clone(),
            config: spec.config.to_string(),
            permissions: Arc::new(permissions),
            memory: spec.grant.memory.as_u64(),
            time: Duration::try_from(spec.grant.time).unwrap_or_default(),
            on_failure: spec.on_failure.clone(),
            events: self.options.events.clone(),
            text_merge: Arc::clone(&self.options.text_merge),
            observer: false,
        };
        let code = Code::new(bytes, self.options.cache.clone(), Arc::clone(&self.linker));
        let mut plugin = Plugin::new(about, inspection, code);
        if listed {
            plugin.start().await.map_err(|failure| {
                let cause = Error::new(failure.message);
                unusable(spec, &failure.hint.into_iter().fold(cause, Error::hint))
            })?;
        }
        Ok(plugin)
    }
}

/// Why a plugin cannot be used, with its name and file.
fn unusable(spec: &Spec, why: &Error) -> Error {
    let what = format!("the plugin `{}` ({}) cannot be used", spec.name, spec.source);
    why.hints().iter().fold(Error::new(what).because(why.summary()), Error::hint)
}
