//! Signals that ask the program to stop: work that can go on later finishes its step, keeps what it has, and the program
//! ends with exit code 75.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, exit};

use crate::base::error::Kind;

/// Those that are listened to: a scheduler's end (SIGTERM) and its warning before (Slurm's `--signal=USR1@120`), Ctrl-C,
/// and a terminal that goes away.
const SIGNALS: [(i32, &str); 4] = [
    (SIGTERM, "SIGTERM"),
    (SIGINT, "SIGINT"),
    (SIGHUP, "SIGHUP"),
    (SIGUSR1, "SIGUSR1"),
];
/// Time in which a second signal is the same request once more: `timeout` and job managers send theirs to a process and to
/// its group.
const ECHO: Duration = Duration::from_secs(1);

/// The first signal that asked for a stop; 0 while none has.
static REQUESTED: AtomicI32 = AtomicI32::new(0);
/// How many pieces of work listen. While none does, a signal does what it does to any program.
static LISTENERS: AtomicUsize = AtomicUsize::new(0);
/// Whether the command may be started again and loses nothing by that.
static RESTARTABLE: AtomicBool = AtomicBool::new(false);
/// The thread that receives them is started once.
static RECEIVER: OnceLock<()> = OnceLock::new();

/// A signal that asked for a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request(pub(in crate::base) i32);

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self.0))
    }
}

/// While it lives, a first signal is only remembered, for [`requested`]. A second one ends the program at once, but for
/// echoes of the first.
#[derive(Debug)]
pub struct Listener(());

impl Drop for Listener {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Says that the command of this process goes on, or begins again, where it is started again: while nothing listens, as
/// before the first step, a signal ends the program at once with the exit code that asks for that.
pub fn restartable() {
    RESTARTABLE.store(true, Ordering::SeqCst);
    start_receiver();
}

/// Listens from now on. What looks at [`requested`] soon and leaves nothing half done may listen.
pub fn listen() -> Listener {
    LISTENERS.fetch_add(1, Ordering::SeqCst);
    start_receiver();
    Listener(())
}

fn start_receiver() {
    RECEIVER.get_or_init(|| {
        let ignored = ignored_signals();
        let wanted = SIGNALS.map(|(signal, _)| signal).into_iter();
        match Signals::new(wanted.filter(|signal| ignored & (1 << (signal - 1)) == 0)) {
            Ok(signals) => {
                std::thread::spawn(move || receive(signals));
            }
            Err(error) => tracing::warn!(
                "signals cannot be received ({error}): a stop from outside loses the steps since the last checkpoint"
            ),
        }
    });
}

/// The signal that asked for a stop, once one has.
pub fn requested() -> Option<Request> {
    match REQUESTED.load(Ordering::SeqCst) {
        0 => None,
        signal => Some(Request(signal)),
    }
}

fn receive(mut signals: Signals) {
    let mut first = None::<Instant>;
    for signal in signals.forever() {
        let is_echo = first.is_some_and(|first| first.elapsed() < ECHO);
        let is_heard = LISTENERS.load(Ordering::SeqCst) > 0;
        if is_heard && first.is_none() {
            REQUESTED.store(signal, Ordering::SeqCst);
            tracing::warn!(
                "{}: stopping as soon as what is done is kept; a second signal ends the program at once",
                name(signal)
            );
            // After the line, which a slow terminal may have held up.
            first = Some(Instant::now());
        } else if is_echo {
            // One also where the work that listened has ended before it came.
        } else if first.is_none() && RESTARTABLE.load(Ordering::SeqCst) {
            let said = writeln!(
                std::io::stderr(),
                "stopped: {}: outside the steps, with nothing to keep; start it again, with --resume where its run has begun",
                name(signal)
            );
            // The exit code says the same.
            drop(said);
            // At once: other threads may be in the middle of a file.
            exit(i32::from(Kind::Interrupted.exit_code()));
        } else if emulate_default_handler(signal).is_err() {
            exit(128 + signal);
        }
    }
}

/// Signals that whoever started the program wants it not to see (`nohup`), as bits counted from signal 1. Where the system
/// does not say: none.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

fn name(signal: i32) -> &'static str {
    let known = SIGNALS.iter().find(|(number, _)| *number == signal);
    known.map_or("a signal", |(_, name)| name)
}
