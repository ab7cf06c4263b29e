//! The optimiser Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019), for what is fitted on the
//! host. Networks on a device have one in `train` that never leaves the device.

const BETA: (f32, f32) = (0.9, 0.999);
const EPSILON: f32 = 1e-8;

/// Running moments of the gradients.
#[derive(Debug, Default)]
pub struct Adam {
    moments: Vec<Moments>,
    steps: i32,
}

/// Numbers that are fitted, `(count,)`.
#[derive(Debug)]
pub struct Parameter<'a> {
    /// The numbers.
    pub values: &'a mut [f32],
    /// The derivatives of the loss by them.
    pub gradient: &'a [f32],
    /// Decay per step, in units of the learning rate.
    pub decay: f32,
}

#[derive(Debug)]
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    /// One step down the gradients of all `parameters`, which are the same, in the same order, at every step.
    pub fn step<'a>(&mut self, parameters: impl IntoIterator<Item = Parameter<'a>>, rate: f32) {
        self.steps += 1;
        let step = rate / (1.0 - BETA.0.powi(self.steps));
        let correction = (1.0 - BETA.1.powi(self.steps)).sqrt().recip();
        for (index, parameter) in parameters.into_iter().enumerate() {
            let Parameter {
                values,
                gradient,
                decay,
            } = parameter;
            let keep = 1.0 - rate * decay;
            if self.moments.len() == index {
                let zeros = || vec![0.0; values.len()];
                let (first, second) = (zeros(), zeros());
                self.moments.push(Moments { first, second });
            }
            let Moments { first, second } = &mut self.moments[index];
            let moments = first.iter_mut().zip(second);
            for ((value, &gradient), (first, second)) in
                values.iter_mut().zip(gradient).zip(moments)
            {
                *first = BETA.0 * *first + (1.0 - BETA.0) * gradient;
                *second = BETA.1 * *second + (1.0 - BETA.1) * gradient * gradient;
                *value = *value * keep - step * *first / (second.sqrt() * correction + EPSILON);
            }
        }
    }
}
