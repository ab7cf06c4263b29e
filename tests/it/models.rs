//! Sizes of the models in the presets, against the paper's (appendix B).

use astroclip::network::model::{
    ConvAttention, ConvAttentionConfig, ResNet18, ResNetConfig, SpecFormer, Vit, VitConfig,
};
use astroclip::network::nn::Initializer;
use astroclip::network::weights::trainable_parameters;
use astroclip::training::config::{self, ImageRun, SpectrumRun};
use burn::module::Module;
use burn::tensor::Device;

/// Parameters of an image transformer; all blocks are alike, so two depths tell any.
fn vit_parameters(config: &VitConfig) -> usize {
    let device = Device::flex();
    let of_depth = |depth: usize| {
        let config = VitConfig {
            depth,
            ..config.clone()
        };
        Vit::new(&config, &mut Initializer::new(0, &device)).num_params()
    };
    let (one, two) = (of_depth(1), of_depth(2));
    one + (config.depth - 1) * (two - one)
}

#[test]
fn the_papers_models_have_the_papers_sizes() {
    for (preset, millions) in [
        ("vitl", "303"),
        ("vitl-released", "303"),
        ("vitb", "86"),
        ("vits", "22"),
    ] {
        let image: ImageRun = config::load(Some(preset), &[]).expect("a preset");
        let count = vit_parameters(&image.model);
        assert_eq!(format!("{:.0}", count as f64 / 1e6), millions, "{preset}");
    }

    let spectrum: SpectrumRun = config::load(Some("specformer.toml"), &[]).expect("a preset");
    let mut init = Initializer::new(0, &Device::flex());
    let count = SpecFormer::new(&spectrum.model, &mut init).num_params();
    assert_eq!(format!("{:.1}", count as f64 / 1e6), "43.2");
}

#[test]
fn the_supervised_networks_have_the_sizes_of_their_pytorch_originals() {
    let device = Device::flex().autodiff();
    // torchvision's resnet18 with another head; 11.69 M with that for ImageNet's 1000 classes.
    for (outputs, parameters) in [(1, 11_177_025), (1000, 11_689_512)] {
        let mut init = Initializer::new(0, &device);
        let resnet = ResNet18::new(&ResNetConfig::default(), (3, outputs), &mut init);
        assert_eq!(trainable_parameters(&resnet), parameters);
    }
    // The released code's SpectrumEncoder(n_latent=5).
    let mut init = Initializer::new(0, &device);
    let network = ConvAttention::new(&ConvAttentionConfig::default(), 5, &mut init);
    assert_eq!(trainable_parameters(&network), 28_893);
}
