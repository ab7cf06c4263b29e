//! The models, training steps and commands against numbers from the released PyTorch code.
//!
//! The files under `tests/golden` come from PolymathicAI/AstroCLIP (commit 9d85069) and
//! facebookresearch/dinov2 (b8931f7) in float32 on the CPU. `ASTROCLIP_REFERENCE` names another folder
//! with files of the same names; sizes are read from the files. Those of the supervised baselines, which are
//! torchvision's ResNet18 and the released code's spectrum network, come from `tests/golden/baselines.py`, those of a public
//! DINOv2 model from `tests/golden/dinov2_public.py`.

mod aligned;
mod baselines;
mod classification;
mod flow;
mod image;
mod public;
mod reference;
mod schedules;
mod spectrum;
