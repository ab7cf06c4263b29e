//! A stream beside those of CubeCL, for what NVIDIA's libraries do.
//!
//! CubeCL does not give its streams away. What runs aside runs between two events of the whole CUDA context: the stream
//! waits for all that was asked of the context before, and all that is asked of it later waits for the stream.
//! (`cuCtxRecordEvent` and `cuCtxWaitEvent`, CUDA 12.5.) The host waits for nothing.
#![allow(unsafe_code)]

use std::fmt::Display;
use std::ptr::null_mut;

use cudarc::driver::sys as driver;

/// The first driver with events of a whole context, CUDA 12.5.
const LEAST_DRIVER: i32 = 12050;

/// Whether the driver, which is there if a tensor is, has events of a whole context.
pub(super) fn is_driver_new() -> bool {
    let mut version = 0;
    // SAFETY: it writes a number.
    let known = unsafe { driver::cuDriverGetVersion(&mut version) }.result();
    known.is_ok() && version >= LEAST_DRIVER
}

/// A stream of a CUDA context, and what orders its work and that of the context.
pub(super) struct Aside {
    context: driver::CUcontext,
    stream: driver::CUstream,
    before: driver::CUevent,
    after: driver::CUevent,
}

// SAFETY: CUDA's handles may be used from any thread, by one at a time: `run` wants the stream for itself.
unsafe impl Send for Aside {}

impl Aside {
    /// The context of this thread.
    pub(super) fn current_context() -> Result<driver::CUcontext, String> {
        let mut context = null_mut();
        // SAFETY: it writes a handle.
        unsafe { driver::cuCtxGetCurrent(&mut context) }
            .result()
            .map_err(text)?;
        Ok(context)
    }

    /// A stream of the context of this thread.
    pub(super) fn open() -> Result<Self, String> {
        let (mut stream, mut before, mut after) = (null_mut(), null_mut(), null_mut());
        let untimed = driver::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
        let own = driver::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: they write handles.
        unsafe {
            driver::cuStreamCreate(&mut stream, own)
                .result()
                .map_err(text)?;
            driver::cuEventCreate(&mut before, untimed)
                .result()
                .map_err(text)?;
            driver::cuEventCreate(&mut after, untimed)
                .result()
                .map_err(text)?;
        }
        Ok(Self {
            context: Self::current_context()?,
            stream,
            before,
            after,
        })
    }

    /// Asks for `work` on the stream.
    pub(super) fn run(
        &mut self,
        work: impl FnOnce(driver::CUstream) -> Result<(), String>,
    ) -> Result<(), String> {
        // SAFETY: context, stream and events are there as long as the process.
        unsafe {
            driver::cuCtxRecordEvent(self.context, self.before)
                .result()
                .map_err(text)?;
            driver::cuStreamWaitEvent(self.stream, self.before, 0)
                .result()
                .map_err(text)?;
        }
        work(self.stream)?;
        // SAFETY: as above.
        unsafe {
            driver::cuEventRecord(self.after, self.stream)
                .result()
                .map_err(text)?;
            driver::cuCtxWaitEvent(self.context, self.after)
                .result()
                .map_err(text)
        }
    }
}

/// An error as text.
pub(super) fn text(error: impl Display) -> String {
    error.to_string()
}
