//! Loading a site's plugins, before anything else: one that cannot work is found now, not half-way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;

use super::Plugins;
use super::about::About;
use super::cache::Cache;
use super::case::Recorder;
use super::code::Code;
use super::compile::Compiler;
use super::engine::engine;
use super::examine::{Examined, unusable};
use super::instance::Plugin;
use super::policy::Policy;
use super::sandbox::{State, linker};
use super::source::STOCK_PREFIX;
use super::spec::Spec;
use super::stock::{STOCK, Stock};
use super::trust::Trust;
use super::types::TextMerge;
use crate::error::{Context, Error, Result};
use crate::event::Events;
use crate::exit::Exit;

/// The inputs of loading besides the configuration.
#[derive(Clone)]
pub struct Options {
    /// The site's directory.
    pub site: PathBuf,
    /// The directory of fetched components, each named by its digest.
    pub fetched: PathBuf,
    /// Paths that no plugin can read, besides those that the host protects.
    pub protected: Vec<PathBuf>,
    /// The approvals. `None` if the caller vouches for the plugins.
    pub trust: Option<Trust>,
    /// The compiler of components.
    pub compiler: Compiler,
    /// The cache of compiled components. `None` compiles each time.
    pub cache: Option<Cache>,
    /// True if all requests are refused, as in `plan`.
    pub offline: bool,
    /// The destination of receipts, refusals and the plugins' logs.
    pub events: Events,
    /// The text merge for resolvers.
    pub text_merge: Arc<dyn TextMerge>,
    /// The directory for recorded calls, if requested.
    pub record: Option<PathBuf>,
}

impl Plugins {
    /// Loads the plugins that a site names, in its order, and then the stock plugins that every
    /// site has. The site's plugins are compiled (or cached) and instantiated once, so that one
    /// that cannot work is found now. A stock plugin with default settings starts at its first
    /// call.
    pub async fn load(specs: &[Spec], options: &Options) -> Result<Self> {
        let loader = Loader::new(options)?;
        loader.load(specs).await.map_err(|error| error.or_exit(Exit::Refused))
    }

    /// Returns their names, in the order of the calls.
    pub fn names(&self) -> Vec<&str> {
        self.chain.iter().map(|plugin| plugin.about.name.as_str()).collect()
    }
}

/// The stock plugins that every site has without naming them.
pub fn unnamed_stock(specs: &[Spec]) -> Vec<Spec> {
    let unnamed =
        STOCK.iter().filter(|stock| stock.everywhere).filter_map(|Stock { name, .. }| {
            let source = format!("{STOCK_PREFIX}{name}");
            let taken = specs.iter().any(|spec| spec.name == *name);
            let named = specs.iter().any(|spec| spec.source == source);
            (!named).then(|| Spec::bare(if taken { &source } else { name }, &source))
        });
    unnamed.collect()
}

impl Options {
    /// Fails unless a run would accept this plugin: approved, signed if required, and able to work.
    /// It is compiled and started once.
    pub async fn verify(&self, spec: &Spec) -> Result<()> {
        let found = self.examine(spec)?;
        self.judge(&found)?;
        self.try_out(found).await
    }

    /// Refuses a plugin without approval, or without a required signature.
    pub fn judge(&self, found: &Examined) -> Result<()> {
        self.trust.as_ref().map_or(Ok(()), |trust| trust.check(found))
    }

    /// Compiles an examined plugin into the cache and starts it once, to see that it works.
    pub async fn try_out(&self, found: Examined) -> Result<()> {
        Loader::new(self)?.start(found).await.map(drop)
    }
}

struct Loader<'a> {
    options: &'a Options,
    linker: Arc<Linker<State>>,
    recorder: Option<Arc<Recorder>>,
}

impl<'a> Loader<'a> {
    fn new(options: &'a Options) -> Result<Self> {
        let linker = linker(engine()?).what("could not set up the plugin host")?;
        let recorder = options.record.as_deref().map(Recorder::new).transpose()?.map(Arc::new);
        Ok(Self { options, linker: Arc::new(linker), recorder })
    }

    async fn load(&self, specs: &[Spec]) -> Result<Plugins> {
        let mut plugins = Vec::new();
        for spec in specs {
            plugins.extend(self.load_one(spec).await?);
        }
        for spec in unnamed_stock(specs) {
            plugins.push(self.plugin(self.options.examine_listed(&spec, false)?));
        }
        Ok(Plugins { chain: plugins, observing: Vec::new(), events: self.options.events.clone() })
    }

    /// Leaves out a plugin if the site's policy allows that. Its hooks are not known, so policies
    /// for hooks do not apply. A missing approval is never left out.
    fn unavailable(&self, spec: &Spec, error: Error) -> Result<()> {
        let said = spec.on_failure.unavailable().or(spec.monitor.then_some(Policy::Warn));
        match said {
            Some(Policy::Skip) => Ok(()),
            Some(Policy::Warn) => {
                self.options.events.warn(error.summary(), error.hints().first().cloned());
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Returns true if `on-failure` applies to this error: not to approvals or wrong grants.
    fn may_do_without(&self, spec: &Spec, error: &Error) -> bool {
        let free = |trust: &Trust| trust.is_free(spec) && self.options.is_in_site(&spec.source);
        error.exit_code() != Some(Exit::Usage) && self.options.trust.as_ref().is_none_or(free)
    }

    /// Returns a plugin for a run. `None` if it cannot work and the site continues without it.
    async fn load_one(&self, spec: &Spec) -> Result<Option<Plugin>> {
        let found = match self.options.examine(spec) {
            Ok(found) => found,
            Err(error) if self.may_do_without(spec, &error) => {
                return self.unavailable(spec, error).map(|()| None);
            }
            Err(error) => return Err(error),
        };
        self.options.judge(&found)?;
        match self.start(found).await {
            Ok(plugin) => Ok(Some(plugin)),
            Err(error) => self.unavailable(spec, error).map(|()| None),
        }
    }

    async fn start(&self, found: Examined) -> Result<Plugin> {
        for grant in &found.idle {
            let what = format!(
                "the plugin `{}` has a grant that it does not request: {grant}",
                found.spec.name
            );
            self.options.events.warn(what, None);
        }
        let spec = found.spec.clone();
        let mut plugin = self.plugin(found);
        plugin.start().await.map_err(|failure| {
            let cause = Error::new(failure.message);
            unusable(&spec, &failure.hint.into_iter().fold(cause, Error::hint))
        })?;
        Ok(plugin)
    }

    fn plugin(&self, found: Examined) -> Plugin {
        let Examined { spec, inspection, permissions, bytes, .. } = found;
        let about = About {
            name: spec.name,
            digest: inspection.digest,
            config: spec.config.to_string(),
            permissions: Arc::new(permissions),
            memory: spec.grant.memory.as_u64(),
            time: Duration::try_from(spec.grant.time).unwrap_or_default(),
            on_failure: spec.on_failure,
            monitor: spec.monitor,
            events: self.options.events.clone(),
            text_merge: Arc::clone(&self.options.text_merge),
            observer: false,
            trial: None,
            recorder: self.recorder.clone(),
            spent: Arc::default(),
        };
        let code = Code::new(
            bytes,
            self.options.compiler.clone(),
            self.options.cache.clone(),
            Arc::clone(&self.linker),
        );
        Plugin::new(about, inspection, code)
    }
}
