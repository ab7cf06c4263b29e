//! Libraries that panic on damaged files: their panics become errors, and print nothing.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether a library reads a file, whose panics are caught.
    static READS: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// What a library reads of a file. What it works on is lost where it panics, and must not be read from again.
///
/// # Errors
/// What it said when it panicked.
pub(super) fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            if !READS.get() {
                others(what);
            }
        }));
    });
    let around = READS.replace(true);
    let ended = panic::catch_unwind(AssertUnwindSafe(read));
    READS.set(around);
    ended.map_err(|what| said(&*what))
}

fn said(what: &(dyn Any + Send)) -> String {
    let text = what.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| what.downcast_ref::<&str>().copied());
    text.unwrap_or("it contradicts itself").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_library_is_an_error_and_others_stay_panics() {
        assert_eq!(guarded(|| 3), Ok(3));
        let text = String::from("'");
        assert!(guarded(|| text[2..].len()).is_err() && !READS.get());
        assert_eq!(
            guarded(|| -> i32 { panic!("pages") }),
            Err("pages".to_owned())
        );
        // One within another.
        let inner = guarded(|| guarded(|| -> i32 { panic!("page") }).unwrap_or(4));
        assert_eq!(inner, Ok(4));
    }
}
