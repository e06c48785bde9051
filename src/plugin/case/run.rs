//! Running a plugin on cases: each in a new instance, offline, with fuel counted.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::about::About;
use super::super::cache::Cache;
use super::super::code::Code;
use super::super::compile::Compiler;
use super::super::grant::{Permissions, Protected};
use super::super::inspect::{Inspection, inspect};
use super::super::instance::Plugin;
use super::super::sandbox::linker;
use super::super::spec::{Hook, Spec};
use super::super::trial::Trial;
use super::super::types::TextMerge;
use super::input::some_time;
use super::{CONTENT, Case, Expect};
use crate::error::{Context, Error, Result};
use crate::event::{Event, Events, Sink};
use crate::exit::Exit;

/// The time limit of a call. Computing calls use up their fuel first.
const TIME: Duration = Duration::from_mins(5);

/// A plugin under test.
pub struct Subject {
    name: String,
    inspection: Inspection,
    code: Arc<Code>,
    text_merge: Arc<dyn TextMerge>,
}

/// The result of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer.
    pub answered: Expect,
    /// The call's fuel: about one per instruction, and the same each time.
    pub fuel: u64,
    /// The differences from the expected answer; empty if the case passed.
    pub differences: Vec<String>,
}

/// The output of a call besides its answer.
#[derive(Default)]
struct Heard {
    logs: Vec<String>,
    fuel: u64,
}

struct Ear(Arc<Mutex<Heard>>);

impl Sink for Ear {
    fn event(&mut self, event: &Event) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Note { text, .. } => heard.logs.push(text.clone()),
            Event::Plugin(receipt) => heard.fuel += receipt.fuel.unwrap_or_default(),
            _ => {}
        }
    }
}

impl Subject {
    /// Compiles the component or takes it from the cache. `events` reports the compilation.
    pub async fn new(
        name: &str,
        bytes: Cow<'static, [u8]>,
        compiler: Compiler,
        cache: Option<Cache>,
        events: &Events,
        text_merge: Arc<dyn TextMerge>,
    ) -> Result<Self> {
        let inspection = inspect(&bytes).what_with(|| format!("{name} is not a plugin"))?;
        let compiler = Compiler { fuel: true, ..compiler };
        let linker = linker(Trial::engine()?).what("could not set up the plugin host")?;
        let code = Arc::new(Code::new(bytes, compiler, cache, Arc::new(linker)));
        let subject = Self { name: name.to_owned(), inspection, code, text_merge };
        let site = Protected::of(std::path::Path::new("."), &[]);
        let about = subject.about(
            &Case { folder: ".".into(), text: super::Text::default() },
            &site,
            events.clone(),
        )?;
        subject.code.ready(&about).await.what_with(|| format!("{name} cannot be used"))?;
        Ok(subject)
    }

    /// Returns the hooks that it exports.
    pub fn hooks(&self) -> &[Hook] {
        &self.inspection.hooks
    }

    fn about(&self, case: &Case, site: &Protected, events: Events) -> Result<About> {
        let grant = case.text.grant.clone();
        let spec = Spec { grant, ..Spec::bare(&self.name, &self.name) };
        let (permissions, _) =
            Permissions::new(&spec, &self.inspection.requests, site, true, true)?;
        let config = &case.text.config;
        Ok(About {
            name: spec.name,
            digest: self.inspection.digest,
            config: if config.is_null() { "{}".to_owned() } else { config.to_string() },
            permissions: Arc::new(permissions),
            memory: spec.grant.memory.as_u64(),
            time: TIME,
            on_failure: spec.on_failure,
            monitor: false,
            events,
            text_merge: Arc::clone(&self.text_merge),
            observer: false,
            trial: Some(Trial { now: case.now() }),
            recorder: None,
            spent: Arc::default(),
        })
    }

    /// Runs one case.
    pub async fn run(&self, case: &Case) -> Result<Outcome> {
        let hook = case.hook()?;
        if !self.inspection.hooks.contains(&hook) {
            let what = format!(
                "{} calls {}, which {} does not export",
                case.folder.display(),
                hook.name(),
                self.name
            );
            return Err(Error::new(what).exit(Exit::Usage));
        }
        let (events, heard) = (Events::default(), Arc::<Mutex<Heard>>::default());
        events.add(Box::new(Ear(Arc::clone(&heard))));
        let about = self.about(case, &Protected::of(&case.folder.join("site"), &[]), events)?;
        let plugin = Plugin::of(about, self.inspection.clone(), Arc::clone(&self.code));
        let (mut answered, content) = ask(plugin, case).await?;
        let heard = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
        answered.logs = heard.logs;
        let mut differences = case.text.expect.differences(&answered);
        if let (Some(expected), Some(given)) = (case.file(CONTENT)?, content)
            && expected != given
        {
            let (expected, given) =
                (String::from_utf8_lossy(&expected), String::from_utf8_lossy(&given));
            differences.push(format!("the content is\n{given}expected\n{expected}"));
        }
        if let Some(most) = case.text.fuel.filter(|most| heard.fuel > *most) {
            differences
                .push(format!("it used {} fuel, more than its budget of {most}", heard.fuel));
        }
        Ok(Outcome { answered, fuel: heard.fuel, differences })
    }
}

impl Case {
    /// Returns the time of the case.
    fn now(&self) -> jiff::Timestamp {
        let text = &self.text;
        let merge = text.pre_merge.as_ref().map(|input| &input.now);
        let pull = text.post_pull.as_ref().map(|input| &input.now);
        let prune = text.pre_prune.as_ref().map(|input| &input.now);
        merge
            .or(pull)
            .or(prune)
            .map_or_else(|| some_time().timestamp(), jiff::ZonedDateTime::timestamp)
    }
}

/// Calls the plugin and returns its answer with the content.
async fn ask(mut plugin: Plugin, case: &Case) -> Result<(Expect, Option<Vec<u8>>)> {
    let text = &case.text;
    let plain = |answer| Ok((answer, None));
    if let Some(input) = &text.pre_merge {
        let answer = plugin.ask_pre_merge(input).await;
        return plain(
            answer.map_or_else(
                |failure| Expect::failed(&failure),
                |answer| Expect::pre_merge(&answer),
            ),
        );
    }
    if let Some(input) = &text.post_pull {
        let answer = plugin.ask_post_pull(input).await;
        return plain(
            answer.map_or_else(
                |failure| Expect::failed(&failure),
                |answer| Expect::post_pull(&answer),
            ),
        );
    }
    if let Some(input) = &text.pre_prune {
        let keeps = plugin.ask_pre_prune(input).await;
        return plain(
            keeps
                .map_or_else(|failure| Expect::failed(&failure), |keeps| Expect::pre_prune(&keeps)),
        );
    }
    if let Some(input) = &text.conflict_resolver {
        let (conflict, blobs) = case.conflict(input)?;
        return Ok(match plugin.ask_resolver(&conflict, blobs, |_| Ok(())).await {
            Ok(answer) => {
                let (told, content) = Expect::resolver(&answer);
                (told, content.map(<[u8]>::to_vec))
            }
            Err(failure) => (Expect::failed(&failure), None),
        });
    }
    plain(tell(plugin, &case.events()?).await)
}

/// Passes the events of a run to an observer until it fails.
async fn tell(mut plugin: Plugin, events: &[String]) -> Expect {
    for json in events {
        let receipt = plugin.tell_observer(json).await;
        let failure = receipt.failure.clone();
        plugin.about.events.emit(Event::Plugin(Box::new(receipt)));
        if let Some(failure) = failure {
            return Expect::failed(&failure);
        }
    }
    Expect::named("told")
}
