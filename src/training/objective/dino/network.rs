//! A transformer with its prototype heads: student or teacher.

use burn::module::Module;
use burn::tensor::Tensor;

use super::DinoConfig;
use crate::network::model::Vit;
use crate::network::nn::{Initializer, PrototypeHead, probe, widen};

/// Backbone and heads: what student and teacher both are.
#[derive(Module, Debug)]
pub(super) struct Network {
    pub(super) backbone: Vit,
    dino_head: PrototypeHead,
    ibot_head: Option<PrototypeHead>,
}

impl Network {
    pub(super) fn new(config: &DinoConfig, init: &mut Initializer) -> Self {
        let head =
            |init: &mut Initializer| PrototypeHead::new(config.model.width, &config.head, init);
        let backbone = Vit::new(&config.model, init);
        Self {
            backbone: match config.optimizer.frozen_blocks {
                0 => backbone,
                blocks => backbone.frozen(blocks),
            },
            dino_head: head(init),
            ibot_head: config.separate_heads.then(|| head(init)),
        }
    }

    /// Scores of class tokens `(crops, prototypes)` and of patch tokens `(patches, prototypes)`, in `f32`.
    pub(super) fn scores(
        &self,
        class: Tensor<2>,
        patches: Option<Tensor<2>>,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let (class, patches) = self.head_scores(class, patches);
        probe::output_by_galaxy("dino_head", &class);
        if let Some(patches) = &patches {
            probe::output("ibot_head", patches);
        }
        (class, patches)
    }

    fn head_scores(
        &self,
        class: Tensor<2>,
        patches: Option<Tensor<2>>,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let Some(patches) = patches else {
            return (widen(self.dino_head.forward(class)), None);
        };
        match &self.ibot_head {
            Some(ibot) => (
                widen(self.dino_head.forward(class)),
                Some(widen(ibot.forward(patches))),
            ),
            None => {
                let [rows, _] = class.dims();
                let [masked, _] = patches.dims();
                let scores = Tensor::cat(vec![class, patches], 0);
                let scores = widen(self.dino_head.forward(scores));
                (
                    scores.clone().narrow(0, 0, rows),
                    Some(scores.narrow(0, rows, masked)),
                )
            }
        }
    }
}
