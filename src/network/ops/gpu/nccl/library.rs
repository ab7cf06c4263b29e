//! NCCL itself: one communicator of all ranks, and a stream for what it does.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::fmt::{self, Debug, Display};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cudarc::nccl::sys::{self, ncclDataType_t, ncclRedOp_t, ncclResult_t};

use crate::base::ranks::Seat;
use crate::network::ops::gpu::aside::Aside;

/// What ranks ask for together.
#[derive(Debug, Clone)]
pub(super) enum Call {
    /// The sums of what all have.
    Sum,
    /// Of each rank so many values, one after the other.
    Gather(Vec<usize>),
}

impl Call {
    /// Number of values of the result, where a rank has `own`.
    pub(super) fn result(&self, own: usize) -> usize {
        match self {
            Self::Sum => own,
            Self::Gather(counts) => counts.iter().sum(),
        }
    }
}

/// What tensors hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    F32,
    Bf16,
}

impl Number {
    fn kind(self) -> ncclDataType_t {
        match self {
            Self::F32 => ncclDataType_t::ncclFloat32,
            Self::Bf16 => ncclDataType_t::ncclBfloat16,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// Whether there is the library.
pub(super) fn is_there() -> bool {
    // SAFETY: it loads a library.
    unsafe { sys::is_culib_present() }
}

/// The library's version.
pub(super) fn version() -> Result<String, String> {
    let mut version = 0;
    // SAFETY: it writes a number.
    let status = unsafe { sys::ncclGetVersion(&mut version) };
    checked(status, null_mut(), "ncclGetVersion")?;
    let (major, rest) = (version / 10_000, version % 10_000);
    Ok(format!("{major}.{}.{}", rest / 100, rest % 100))
}

/// A new id, by which ranks find each other.
pub(super) fn new_id() -> Result<Vec<u8>, String> {
    let mut id = sys::ncclUniqueId { internal: [0; 128] };
    // SAFETY: it writes an id.
    let status = unsafe { sys::ncclGetUniqueId(&mut id) };
    checked(status, null_mut(), "ncclGetUniqueId")?;
    Ok(id.internal.map(|byte| byte as u8).to_vec())
}

/// The ranks of one id. It is there as long as the process: its end would wait for ranks that have failed.
pub(super) struct Communicator {
    id: sys::ncclUniqueId,
    seat: Seat,
    /// None before the first call.
    joined: Mutex<Option<Joined>>,
    failure: Mutex<Option<String>>,
}

struct Joined {
    communicator: sys::ncclComm_t,
    aside: Aside,
}

// SAFETY: NCCL's handles may be used from any thread, by one at a time: they stand behind a lock.
unsafe impl Send for Joined {}

impl Debug for Communicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seat { rank, size } = self.seat;
        write!(f, "Communicator({rank} of {size})")
    }
}

impl Communicator {
    /// Ranks of this id, if it is one; they meet at the first call.
    pub(super) fn new(id: &[u8], seat: Seat) -> Option<Self> {
        let id = <[u8; 128]>::try_from(id).ok()?;
        Some(Self {
            id: sys::ncclUniqueId {
                internal: id.map(|byte| byte as _),
            },
            seat,
            joined: Mutex::default(),
            failure: Mutex::default(),
        })
    }

    /// Keeps what has failed; of several things the first.
    pub(super) fn fail(&self, what: String) {
        locked(&self.failure).get_or_insert(what);
    }

    /// What has failed, if anything has.
    pub(super) fn failure(&self) -> Option<String> {
        locked(&self.failure).clone()
    }

    /// Asks the current context's device for a call of numbers, of which this rank has so many, from one address to another.
    ///
    /// # Safety
    ///
    /// They are memory of the current context that holds until the device comes to the call: as many numbers as this rank
    /// has, or gives in [`Call::Gather`], and as many as [`Call::result`] says.
    pub(super) unsafe fn run(
        &self,
        call: &Call,
        (number, count): (Number, usize),
        from: u64,
        to: u64,
    ) -> Result<(), String> {
        let mut joined = locked(&self.joined);
        let Joined {
            communicator,
            aside,
        } = match &mut *joined {
            Some(joined) => joined,
            none => none.insert(self.join()?),
        };
        let communicator = *communicator;
        let mut state = ncclResult_t::ncclSuccess;
        // SAFETY: it writes a number.
        let status = unsafe { sys::ncclCommGetAsyncError(communicator, &mut state) };
        checked(status, communicator, "ncclCommGetAsyncError")?;
        checked(state, communicator, "a call before this one")?;
        let kind = number.kind();
        let (source, target) = (from as *const c_void, to as *mut c_void);
        aside.run(|stream| {
            let stream = stream.cast();
            match call {
                Call::Sum => {
                    let sum = ncclRedOp_t::ncclSum;
                    // SAFETY: what the caller says of the memory.
                    let status = unsafe {
                        sys::ncclAllReduce(source, target, count, kind, sum, communicator, stream)
                    };
                    let what = format_args!("ncclAllReduce of {count} {number:?}");
                    checked(status, communicator, what)
                }
                Call::Gather(counts) if counts.iter().all(|&other| other == counts[0]) => {
                    let count = counts[0];
                    // SAFETY: as above.
                    let status = unsafe {
                        sys::ncclAllGather(source, target, count, kind, communicator, stream)
                    };
                    let what = format_args!("ncclAllGather of {count} {number:?}");
                    checked(status, communicator, what)
                }
                Call::Gather(counts) => together(communicator, || {
                    let mut to = to;
                    for (rank, &count) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
                        let (target, root) = (to as *mut c_void, rank as i32);
                        // SAFETY: as above; of other ranks than the root nothing is read.
                        let status = unsafe {
                            sys::ncclBroadcast(
                                source,
                                target,
                                count,
                                kind,
                                root,
                                communicator,
                                stream,
                            )
                        };
                        let what = format_args!("ncclBroadcast of {count} {number:?} from {root}");
                        checked(status, communicator, what)?;
                        to += (count * number.bytes()) as u64;
                    }
                    Ok(())
                }),
            }
        })
    }

    fn join(&self) -> Result<Joined, String> {
        let Seat { rank, size } = self.seat;
        let mut communicator = null_mut();
        // SAFETY: it writes a handle.
        let status =
            unsafe { sys::ncclCommInitRank(&mut communicator, size as i32, self.id, rank as i32) };
        let what = format_args!("ncclCommInitRank, {rank} of {size}");
        checked(status, null_mut(), what)?;
        Ok(Joined {
            communicator,
            aside: Aside::open()?,
        })
    }
}

/// Calls that the device does at once.
fn together(
    communicator: sys::ncclComm_t,
    calls: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    // SAFETY: the group that it begins ends below.
    let status = unsafe { sys::ncclGroupStart() };
    checked(status, communicator, "ncclGroupStart")?;
    let asked = calls();
    // SAFETY: it ends the group.
    let status = unsafe { sys::ncclGroupEnd() };
    asked.and(checked(status, communicator, "ncclGroupEnd"))
}

/// The error of a call, with what NCCL has to say of it.
fn checked(
    status: ncclResult_t,
    communicator: sys::ncclComm_t,
    what: impl Display,
) -> Result<(), String> {
    if status == ncclResult_t::ncclSuccess {
        return Ok(());
    }
    // SAFETY: both return texts that last.
    let [error, last] = unsafe {
        [
            sys::ncclGetErrorString(status),
            sys::ncclGetLastError(communicator),
        ]
        .map(|text| match text.is_null() {
            true => String::new(),
            false => CStr::from_ptr(text).to_string_lossy().trim().to_owned(),
        })
    };
    let last = if last.is_empty() {
        last
    } else {
        format!(" ({last})")
    };
    Err(format!("{what}: {error}{last}"))
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
