//! A terminal: what a person sees of a command, and types. It is `script`'s, which every Debian
//! has.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The width of most terminals.
const COLUMNS: u32 = 80;
/// The shell's line after the command if the terminal's settings were restored.
const AS_BEFORE: &str = "the terminal is set as before";

/// A command that runs at a terminal.
pub struct Terminal {
    line: String,
    script: Child,
    keys: ChildStdin,
    written: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

/// The output with escape sequences, and the exit status.
pub struct Shown {
    line: String,
    code: Option<i32>,
    text: String,
}

impl Terminal {
    /// Runs a command at one. Its environment is what it was given, with `TERM` as it is said
    /// there.
    pub fn with(command: &Command, line: String) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let quoted =
            words.map(|word| format!("'{}'", word.to_string_lossy())).collect::<Vec<_>>().join(" ");
        // The shell takes ^C too, and shall outlive it.
        let shell = format!(
            "trap : INT; stty cols {COLUMNS} rows 40; was=$(stty -g); {quoted}; code=$?; \
             [ \"$was\" = \"$(stty -g)\" ] && echo {AS_BEFORE}; exit $code"
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &shell, "/dev/null"]).env_clear();
        script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut script = script.spawn().expect("script starts");
        let (keys, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let written = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&written);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                into.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { line, script, keys, written, reader }
    }

    /// Waits until this is to be seen.
    pub fn shows(&self, words: &str) -> &Self {
        let begun = Instant::now();
        loop {
            let text = String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned();
            if text.contains(words) {
                return self;
            }
            assert!(
                begun.elapsed() < Duration::from_mins(2),
                "`{}` did not show `{words}` in\n{text}",
                self.line
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types ^C.
    pub fn interrupts(&self) -> &Self {
        (&self.keys).write_all(b"\x03").expect("a key is typed");
        self
    }

    /// Sends the command a signal from elsewhere.
    pub fn signal(&self, signal: Signal) -> &Self {
        let child = |parent: u32| {
            let children =
                std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))
                    .unwrap_or_default();
            children.split(' ').next().and_then(|id| id.parse::<u32>().ok()).expect("a child")
        };
        let command = child(child(self.script.id()));
        kill_process(Pid::from_raw(command.try_into().unwrap()).unwrap(), signal)
            .expect("a signal is sent");
        self
    }

    /// Waits for its end, and demands that the terminal is left in order: set as before, its cursor
    /// shown, the next line begun.
    pub fn ends(mut self) -> Shown {
        let code = self.script.wait().expect("script ends").code();
        drop(self.keys);
        self.reader.join().unwrap();
        let text = String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned();
        let shown = Shown { line: self.line, code, text };
        assert!(
            shown.text.contains(&format!("\n{AS_BEFORE}")),
            "the terminal is not set as before, or in a line: {shown}"
        );
        assert!(
            shown.text.rfind("\x1b[?25l") <= shown.text.rfind("\x1b[?25h"),
            "the cursor is hidden: {shown}"
        );
        shown
    }
}

impl Shown {
    /// Demands an exit code.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        self
    }

    /// Demands that this was to be seen.
    pub fn says(self, text: &str) -> Self {
        assert!(self.text.contains(text), "`{text}` is not shown by {self}");
        self
    }

    /// Demands that this was not.
    pub fn keeps_quiet_about(self, text: &str) -> Self {
        assert!(!self.text.contains(text), "`{text}` is shown by {self}");
        self
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` (exit code {:?}):\n{}",
            self.line,
            self.code,
            self.text.escape_debug().to_string().replace("\\n", "\n")
        )
    }
}
