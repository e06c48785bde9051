//! Compilation of components in a limited child process: a small component can be built so that its
//! compilation takes hours, or all memory.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::MemfdFlags;

use super::engine::configured;
use super::source::LARGEST;
use crate::error::{Context, Error, Result};
use crate::process::{Command, Confinement};

/// The hidden command of this program that compiles its standard input to its standard output.
pub const COMMAND: &str = "compile-plugin";

/// The program that compiles, and its limits.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The path of a build of this program, whose code this process can load.
    pub program: PathBuf,
    /// The memory limit, in bytes.
    pub memory: u64,
    /// The time limit.
    pub time: Duration,
    /// True if the code counts its fuel, for tests of a plugin.
    pub(super) fuel: bool,
}

impl Compiler {
    /// Returns the compiler in the running program.
    pub fn in_this_program() -> Self {
        Self::in_program("/proc/self/exe")
    }

    /// Returns the compiler in another build of this program.
    pub fn in_program(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            memory: 4 << 30,
            time: Duration::from_mins(10),
            fuel: false,
        }
    }

    /// Compiles a component.
    pub(super) async fn compile(&self, component: &[u8]) -> Result<Vec<u8>> {
        const MOST_CODE: usize = 1 << 30;
        let limits = Confinement {
            processes: None,
            memory: self.memory,
            file: 0,
            // The sum of all its threads.
            seconds: self.time.as_secs().saturating_mul(8),
        };
        let output = Command::new(&self.program, self.time)
            .called("cowhand")
            .arg(COMMAND)
            .args(self.fuel.then_some("--fuel"))
            .stdin(in_memory(component).what("could not pass the component to the compiler")?)
            .most_output(MOST_CODE)
            .confined(limits)
            .run()
            .await?;
        match (output.code, output.lost) {
            (Some(0), 0) => Ok(output.stdout),
            (Some(1), _) => Err(Error::new("it cannot be compiled").because(output.tail())),
            _ => Err(Error::new("it cannot be compiled within the limits").because(format!(
                "{} of memory, {} s",
                bytesize::ByteSize::b(self.memory),
                self.time.as_secs()
            ))),
        }
    }
}

/// Runs in the child process: reads a component and writes its code.
pub fn compile_input(fuel: bool) -> Result<()> {
    let mut component = Vec::new();
    let read = std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut component);
    read.what("could not read the component")?;
    let engine = wasmtime::Engine::new(&configured(fuel));
    let engine = engine.what("could not set up the WebAssembly engine")?;
    let code = engine.precompile_component(&component);
    let code = code.map_err(|error| Error::new(format!("{error:#}")))?;
    let mut out = std::io::stdout().lock();
    out.write_all(&code).and_then(|()| out.flush()).what("could not write the code")
}

/// Returns the component as an unnamed file.
fn in_memory(component: &[u8]) -> std::io::Result<File> {
    let memory = rustix::fs::memfd_create(c"component", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(memory);
    file.write_all(component)?;
    file.rewind()?;
    Ok(file)
}
