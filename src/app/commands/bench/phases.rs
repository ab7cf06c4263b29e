//! Where the time of a step goes, span by span, with the device waited for at both ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use tracing::Subscriber;
use tracing::span::Id;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Time spent in each span of `work`, on `device` as well: every span begins and ends with an idle device, so that all
/// together takes longer than without a look at it.
pub(super) fn measure(device: &Device, work: impl FnOnce()) -> BTreeMap<&'static str, Duration> {
    let times = Arc::new(Mutex::new(Times::default()));
    let layer = Stopwatch {
        device: device.clone(),
        times: Arc::clone(&times),
    };
    tracing::subscriber::with_default(Registry::default().with(layer), work);
    std::mem::take(&mut times.lock().expect("no panic while held").spent)
}

#[derive(Default)]
struct Times {
    entered: Option<Instant>,
    spent: BTreeMap<&'static str, Duration>,
}

/// Times spans that do not lie in each other.
struct Stopwatch {
    device: Device,
    times: Arc<Mutex<Times>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Stopwatch {
    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        synchronize(&self.device);
        let mut times = self.times.lock().expect("no panic while held");
        times.entered = Some(Instant::now());
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        synchronize(&self.device);
        let mut times = self.times.lock().expect("no panic while held");
        if let (Some(entered), Some(span)) = (times.entered.take(), context.metadata(id)) {
            *times.spent.entry(span.name()).or_default() += entered.elapsed();
        }
    }
}

/// Waits until the device has done all that it was given.
pub(super) fn synchronize(device: &Device) {
    device.sync().expect("the device does what it was given");
}
