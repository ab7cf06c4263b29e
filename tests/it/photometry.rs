//! Images and spectra that are aligned and embedded with their fluxes.

use ndarray::Array2;

use crate::support::{Workspace, astroclip};

#[test]
fn fluxes_go_from_alignment_to_embeddings_and_micro_batches_change_nothing() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(60);
    for stage in ["image", "spectrum"] {
        workspace.train(stage, &survey, &[]).succeeds();
    }
    let fluxes = [
        "--set",
        "align.image_photometry={apertures=[0.3, 0.6, 1.2], hidden=8}",
        "--set",
        "align.spectrum_photometry={bins=7, hidden=6}",
    ];
    workspace.train("align", &survey, &fluxes).succeeds();
    let whole = workspace.metrics("runs/align");
    let model = workspace.path("runs/align/model.safetensors");
    let model = model.to_str().expect("UTF-8");

    let out = workspace.path("runs/parts").display().to_string();
    let parts = ["--set", "train.micro_batch_size=2", "--out", &out];
    let parts: Vec<&str> = fluxes.into_iter().chain(parts).collect();
    workspace.train("align", &survey, &parts).succeeds();
    for (whole, part) in whole.iter().zip(workspace.metrics("runs/parts")) {
        let [whole, part] = [whole, &part].map(|line| line["loss"].as_f64().expect("a loss"));
        assert!((whole / part - 1.0).abs() < 1e-4, "{whole} and {part}");
    }

    // Blurred images are other images.
    let out = workspace.path("runs/seeing").display().to_string();
    let seeing = ["--set", "align.extra_seeing=0.8", "--out", &out];
    let seeing: Vec<&str> = fluxes.into_iter().chain(seeing).collect();
    workspace.train("align", &survey, &seeing).succeeds();
    assert_ne!(
        whole[0]["loss"],
        workspace.metrics("runs/seeing")[0]["loss"]
    );

    let emb = workspace.path("emb.h5").display().to_string();
    let embed = [
        "embed",
        "--weights",
        model,
        "--data",
        &survey,
        "--out",
        &emb,
    ];
    astroclip(embed).succeeds();
    astroclip(["inspect", model]).succeeds();
    let file = hdf5::File::open(&emb).expect("an embedding file");
    let features: Array2<f32> = file
        .dataset("image_features")
        .and_then(|dataset| dataset.read_2d())
        .expect("features of images");
    // Nine fluxes, eight components of class tokens, and the constant, which leaves directions apart.
    assert_eq!(features.dim(), (60, 9 + 8 + 1));
    let constant = features.column(17);
    assert!(constant.iter().all(|value| *value > 0.5), "{constant}");

    let released = workspace.path("released.pth").display().to_string();
    let exported = astroclip(["export", model, "--to", "released", "--out", &released]).succeeds();
    for part in ["fluxes in apertures", "flux in bins"] {
        assert!(exported.stderr.contains(part), "{}", exported.stderr);
    }

    let far = [
        "--set",
        "align.image_photometry={apertures=[2.0, 1.0]}",
        "--out",
        "runs/far",
    ];
    let refused = workspace.train("align", &survey, &far);
    refused.fails_with(
        2,
        &[
            "align.image_photometry.apertures",
            "more than the one before it, 2",
        ],
    );
    let far = [
        "--set",
        "align.spectrum_photometry={bins=2000}",
        "--out",
        "runs/far",
    ];
    let refused = workspace.train("align", &survey, &far);
    refused.fails_with(2, &["align.spectrum_photometry.bins", "at most 1024"]);
    let far = ["--set", "align.extra_seeing=11", "--out", "runs/far"];
    let refused = workspace.train("align", &survey, &far);
    refused.fails_with(2, &["align.extra_seeing", "11"]);
}
