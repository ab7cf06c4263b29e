//! The command line: what may be said, and how it is explained.

mod baseline;
mod eval;
mod posterior;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

pub use baseline::{BaselineLabels, BaselinePhotometry, BaselineTask, BaselineTraining};
pub use eval::{
    BootstrapArg, EmbeddingsArg, EvalAll, EvalArg, EvalMorphology, EvalRetrieval, LabelsArg,
    MlpArg, NamedFile, PredictionsArg, PredictionsFile, SplitChoice,
};
pub use posterior::PosteriorArg;

use crate::catalog::Key;
use crate::data::Format;
use crate::device::DeviceChoice;
use crate::nn::Precision;
use crate::released::ExportFormat;
use crate::survey::{Modality, ObjectId};

/// Galaxy images and spectra in one embedding space: pretrain, align, embed, search, evaluate.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "From nothing to a galaxy search engine:\n  astroclip quickstart\n\n\
    Your own survey, step by step, in its folder:\n  \
    astroclip pretrain-image\n  \
    astroclip pretrain-spectrum\n  \
    astroclip align\n  \
    astroclip embed --out emb.h5\n  \
    astroclip eval redshift\n  \
    astroclip search --id 39628439081225000 --from image --to spectrum\n\n\
    Each takes what the one before left, says what it took, and takes any other by --data, --weights, --embeddings, \
    --labels. `astroclip` alone says what the current folder holds and what to type next; \
    `astroclip COMMAND --help` shows worked examples of each command."
)]
pub struct Cli {
    /// Say more (-v) or much more (-vv) on stderr.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Say nothing on stderr but warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// What to do; without it, what the current folder holds and what to type next.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// Logs go to stderr, as `-q`, `-v` or `RUST_LOG` say.
    pub fn start_logging(&self) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => "warn",
            (false, 0) => "warn,astroclip=info",
            (false, 1) => "info,astroclip=debug",
            (false, _) => "trace",
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .without_time()
            .init();
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Simulate, pretrain, align, embed, evaluate and search a small survey; write a report.
    Quickstart(Quickstart),
    /// Simulate a survey of paired images and spectra with known properties.
    Simulate(Simulate),
    /// Pretrain an image transformer by self-distillation (DINOv2).
    PretrainImage(PretrainImage),
    /// Pretrain a spectrum transformer by masked modelling.
    PretrainSpectrum(PretrainSpectrum),
    /// Align an image and a spectrum transformer by contrastive learning (CLIP).
    Align(Align),
    /// Embed the galaxies of survey files.
    Embed(Embed),
    /// Estimate redshift, physical properties or morphology from embeddings, and say how well.
    Eval(Eval),
    /// Train a supervised network from images, spectra or magnitudes to redshift and physical properties.
    #[command(subcommand)]
    Baseline(BaselineTask),
    /// Take over the weights of the released PyTorch models.
    Import(Import),
    /// Write a model's weights for the released PyTorch code, or as safetensors.
    Export(Export),
    /// Find similar galaxies, within or across images and spectra.
    Search(Search),
    /// Join two catalogues by identifier or by position on the sky.
    Match(Match),
    /// Say what a survey file, an embedding file, a table, a model or a checkpoint holds.
    Inspect(Inspect),
    /// Read survey files from end to end and list every galaxy that cannot be used.
    Check(Check),
    /// Draw what the encoders do: hidden parts of spectra, attention, maps of embeddings.
    #[command(subcommand)]
    Plot(PlotTask),
    /// Measure how fast data are read and augmented, and models trained and run.
    #[command(subcommand)]
    Bench(BenchTask),
    /// List and show the presets.
    Config(Config),
}

/// A choice of device.
#[derive(Debug, Args)]
pub struct DeviceArg {
    /// auto, cpu, cuda or cuda:N; auto takes a GPU where there is one.
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceChoice,
}

/// A run file and changes to it.
#[derive(Debug, Args)]
pub struct ConfigArg {
    /// Run file, or the name of a preset (see `astroclip config list`).
    #[arg(long, value_name = "NAME|PATH")]
    pub config: Option<String>,
    /// Override one setting; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Survey files.
#[derive(Debug, Args)]
pub struct DataArg {
    /// Survey files (HDF5, FITS, Parquet), folders of them, or patterns such as 'south/*.h5' [default: those of the run
    /// file, else what the model was trained on, else those of ASTROCLIP_DATA, else the one survey in the current folder].
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// How they are read.
    #[command(flatten)]
    pub read: ReadArg,
    /// Leave out galaxies that cannot be used (NaN, missing band, zero flux, unreadable) and files that cannot
    /// be opened, and count them; else the first stops the work.
    #[arg(long)]
    pub skip_bad: bool,
}

/// How survey files are read where their content does not say it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading")]
pub struct ReadArg {
    /// Format of the files [default: what their content says].
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// HDF5 dataset of images, (n, band, y, x) or (n, y, x, band), where the layout is none of the known.
    #[arg(long, value_name = "NAME")]
    pub image_key: Option<String>,
    /// HDF5 dataset of spectra, (n, pixel).
    #[arg(long, value_name = "NAME")]
    pub spectrum_key: Option<String>,
    /// HDF5 dataset of the spectra's wavelengths, Å [default: those of the survey].
    #[arg(long, value_name = "NAME")]
    pub wavelength_key: Option<String>,
    /// HDF5 dataset of identifiers.
    #[arg(long, value_name = "NAME")]
    pub id_key: Option<String>,
    /// HDF5 dataset of redshifts.
    #[arg(long, value_name = "NAME")]
    pub redshift_key: Option<String>,
}

/// What the galaxies of some files are like.
#[derive(Debug, Args)]
pub struct SurveyArg {
    /// Run file whose table [survey] says what the files hold [default: g, r, z cutouts of the Legacy Surveys,
    /// spectra on DESI's wavelengths].
    #[arg(long, value_name = "NAME|PATH")]
    pub config: Option<String>,
    /// Override one setting, such as survey.bands=["g","r","i","z","y"]; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Where a training run reads and writes.
#[derive(Debug, Args)]
pub struct RunArg {
    /// Survey files.
    #[command(flatten)]
    pub data: DataArg,
    /// Run folder [default: runs/ and the name of the configuration].
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Go on with the run in the run folder, or with the newest that is not finished, as it began: configuration, data
    /// and encoders need not be given again.
    #[arg(long)]
    pub resume: bool,
    /// Stop after so many steps of the run, to be resumed later.
    #[arg(long, value_name = "STEPS")]
    pub stop_after: Option<u64>,
}

/// Arguments of `quickstart`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  astroclip quickstart --out quickstart\n  \
    xdg-open quickstart/report.html\n\n\
    Presets: cpu (a quarter of an hour on two cores), smoke (a minute, to see that it runs), \
    large (five times the galaxies, about an hour), gpu (ten minutes on one H100).")]
pub struct Quickstart {
    /// Size of the demonstration: cpu, smoke, large or gpu.
    #[arg(long, default_value = "cpu")]
    pub preset: QuickstartPreset,
    /// Override a setting of the preset, such as galaxies=5000; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder for the survey, runs, embeddings, results.json and report.html.
    #[arg(long, default_value = "quickstart", value_name = "DIR")]
    pub out: PathBuf,
    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
}

/// Sizes of the quickstart.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum QuickstartPreset {
    /// A quarter of an hour on two cores.
    Cpu,
    /// About a minute.
    Smoke,
    /// Five times the galaxies: about an hour on two cores.
    Large,
    /// Ten minutes on one H100.
    Gpu,
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip simulate --out survey.h5\n  \
    astroclip simulate --galaxies 2000 --seed 1 --out survey.h5")]
pub struct Simulate {
    /// Number of galaxies.
    #[arg(long, default_value_t = 2000)]
    pub galaxies: usize,
    /// Seed; the same seed gives the same survey.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Survey file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pretrain-image`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip pretrain-image\n  \
    astroclip pretrain-image --resume\n  \
    astroclip pretrain-image --config tiny-vit --data survey.h5 --set train.steps=200\n\n\
    The paper's recipe: --config vitl.toml. A run file of one's own may start from another: base = \"tiny-vit\", and may \
    name its files: [data] files = [\"survey.h5\"]. The run folder gets config.toml, inputs.json (the files), \
    metrics.jsonl, checkpoints/ and model.safetensors.")]
pub struct PretrainImage {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Run.
    #[command(flatten)]
    pub run: RunArg,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pretrain-spectrum`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip pretrain-spectrum\n  \
    astroclip pretrain-spectrum --resume\n  \
    astroclip pretrain-spectrum --config tiny-specformer --data survey.h5 --out runs/spectrum\n\n\
    The paper's recipe: --config specformer.toml.")]
pub struct PretrainSpectrum {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Run.
    #[command(flatten)]
    pub run: RunArg,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `align`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip align\n  astroclip align --data survey.h5 \\\n    \
    --image-encoder runs/tiny-vit/model.safetensors \\\n    \
    --spectrum-encoder runs/tiny-specformer/model.safetensors\n\n\
    Without --image-encoder or --spectrum-encoder the newest of the runs folder are taken, without --data what they \
    were trained on."
)]
pub struct Align {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Run.
    #[command(flatten)]
    pub run: RunArg,
    /// Pretrained image encoder [default: the newest beside the run folder].
    #[arg(long, value_name = "MODEL")]
    pub image_encoder: Option<PathBuf>,
    /// Pretrained spectrum encoder [default: the newest beside the run folder].
    #[arg(long, value_name = "MODEL")]
    pub spectrum_encoder: Option<PathBuf>,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `embed`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip embed --out emb.h5\n  \
    astroclip embed --data new.h5 --out new-emb.h5\n  \
    astroclip embed --weights runs/tiny-align/model.safetensors --data survey.h5 --out emb.h5\n\n\
    Files may hold pairs, images only or spectra only. An encoder before alignment works too: images \
    are then embedded as the class token, spectra as the mean token.")]
pub struct Embed {
    /// Exported model [default: the newest aligned one in runs, or the newest encoder if none is aligned].
    #[arg(long, value_name = "MODEL")]
    pub weights: Option<PathBuf>,
    /// Survey files.
    #[command(flatten)]
    pub data: DataArg,
    /// Embedding file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Leave the embeddings as the model gives them, not scaled to unit length.
    #[arg(long)]
    pub raw: bool,
    /// Galaxies that go through the model at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    /// f32 or bf16; in bf16 a GPU is faster, and an embedding differs by about 1 %.
    #[arg(long, default_value_t = Precision::F32, value_name = "PRECISION")]
    pub precision: Precision,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `eval`.
#[derive(Debug, Args)]
pub struct Eval {
    /// What to estimate.
    #[command(subcommand)]
    pub task: EvalTask,
}

/// What `eval` can estimate.
#[derive(Debug, Subcommand)]
pub enum EvalTask {
    /// Redshift from image and spectrum embeddings, zero- and few-shot.
    #[command(after_help = "Examples:\n  astroclip eval redshift\n  \
        astroclip eval redshift --embeddings emb.h5 --labels survey.h5 --seeds 5 --bins 5\n  \
        astroclip eval redshift --embeddings emb.h5 before=unaligned.h5 --labels survey.h5 \\\n    \
        --predictions image=runs/resnet18/predictions.csv --split hash\n\n\
        Beside every number stands its bootstrap error; R² over magnitudes is the gain over k-NN and MLP on g, r, z.")]
    Redshift(EvalArg),
    /// Stellar mass, metallicity, age and specific star-formation rate from embeddings.
    #[command(after_help = "Examples:\n  astroclip eval properties\n  \
        astroclip eval properties --embeddings emb.h5 --labels survey.h5\n  \
        astroclip eval properties --embeddings provabgs_train_embeddings.hdf5 --test provabgs_test_embeddings.hdf5 \\\n    \
        --labels provabgs_train.hdf5 provabgs_test.hdf5\n\n\
        The first table has the layout of the paper's Table 2.")]
    Properties(EvalArg),
    /// Morphology: the ten questions of Galaxy Zoo DECaLS.
    #[command(
        after_help = "Examples:\n  astroclip eval morphology\n  astroclip eval morphology --embeddings emb.h5 --labels gz_decals_volunteers_5.csv ids.csv\n\n\
        Votes are columns as in the GZD-5 catalogue: QUESTION_total-votes and QUESTION_ANSWER_debiased or _fraction; a \
        table with positions alone joins another that has identifiers and positions. A four-layer MLP is fitted to \
        vote fractions, as in section 6.5 of the paper; the table has the layout of its Table E1."
    )]
    Morphology(EvalMorphology),
    /// How often a galaxy's own image or spectrum is found, in all four directions.
    #[command(
        after_help = "Examples:\n  astroclip eval retrieval\n  astroclip eval retrieval --embeddings emb.h5 --at 1,10,100\n\n\
        Galaxies of the test split look among each other; --all takes all galaxies."
    )]
    Retrieval(EvalRetrieval),
    /// Everything above and posteriors, on one page with the paper's numbers beside: its tables and figures.
    #[command(after_help = "Examples:\n  astroclip eval all\n  \
        astroclip eval all --embeddings emb.h5 --labels survey.h5 --report report.html\n  \
        astroclip eval all --embeddings aligned=emb.h5 images=image.h5 --labels survey.h5 \\\n    \
        --predictions image=runs/baseline-resnet18/predictions.csv --data survey.h5 \\\n    \
        --model runs/align/model.safetensors --spectrum-model runs/specformer/model.safetensors\n\n\
        Writes the page, every number as report.json, and every drawing as SVG and PNG into report-figures. The survey \
        files and models are for the drawings of galaxies and encoders.")]
    All(Box<EvalAll>),
    /// Posteriors of redshift and properties by normalizing flows: likelihood, calibration, summaries.
    #[command(after_help = "Examples:\n  astroclip eval posterior\n  \
        astroclip eval posterior --embeddings emb.h5 --labels survey.h5 --out posterior.csv\n  \
        astroclip eval posterior --embeddings emb.h5 --targets redshift --source spectrum\n  \
        astroclip eval posterior --embeddings emb.h5 --labels survey.h5 \\\n    \
        --predictions image=runs/resnet18/predictions.csv spectrum=runs/conv/predictions.csv\n\n\
        Ten conditional flows of rational-quadratic spline coupling layers are fitted to the train split for \
        each source. Those on predictions of a supervised network are fitted to the train galaxies that the network \
        was not fitted to (validation in its table), if there are 100 of them. -ln p says how likely the truth of the \
        test galaxies is; TARP and the ranks of the truth say whether the posteriors are as wide as they should be. --out gets median, 68 % and 95 % interval \
        of every target for every test galaxy, also those without labels; --json has the calibration curves, \
        the rank histograms and the samples of one galaxy.")]
    Posterior(PosteriorArg),
}

/// Arguments of `search`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip search --id 39628439081225000\n  \
    astroclip search emb.h5 --id 39628439081225000 --from image --to spectrum -k 8"
)]
pub struct Search {
    /// Embedding file [default: the newest in the current folder].
    pub embeddings: Option<PathBuf>,
    /// Identifier of the query galaxy.
    #[arg(long, allow_negative_numbers = true)]
    pub id: ObjectId,
    /// Which view of the query galaxy.
    #[arg(long, default_value = "image")]
    pub from: Modality,
    /// Which views to search.
    #[arg(long, default_value = "image")]
    pub to: Modality,
    /// Number of galaxies to find.
    #[arg(short, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub k: u32,
    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  astroclip import astroclip.ckpt --out astroclip.safetensors\n  \
    astroclip embed --weights astroclip.safetensors --data survey.h5 --out emb.h5\n\n\
    Reads astrodino, specformer and astroclip checkpoints (.ckpt, .pth, .pt) and safetensors files with the same \
    names; which it is follows from the tensors. Nothing in the file is executed."
)]
pub struct Import {
    /// Released weights.
    pub file: PathBuf,
    /// Model file to write.
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,
    /// Attention heads of the image transformer [default: what the file says, else its width / 64].
    #[arg(long, value_name = "N")]
    pub image_heads: Option<usize>,
    /// Attention heads of the spectrum transformer [default: what the file says, else 6].
    #[arg(long, value_name = "N")]
    pub spectrum_heads: Option<usize>,
    /// Heads of the cross-attention [default: what the file says, else 4].
    #[arg(long, value_name = "N")]
    pub embedding_heads: Option<usize>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip export --to released --out astroclip.ckpt\n  \
    astroclip export runs/align/model.safetensors --to released --out astroclip.ckpt\n  \
    python -c \"import torch; print(torch.load('astroclip.ckpt')['state_dict'].keys())\"\n\n\
    Names and shapes are those of the released code in both formats, so that load_state_dict takes them."
)]
pub struct Export {
    /// Model file [default: the newest aligned one in runs, or the newest encoder if none is aligned].
    pub model: Option<PathBuf>,
    /// released: a PyTorch checkpoint, nested as the released ones; safetensors: its state dictionary.
    #[arg(long, value_name = "FORMAT")]
    pub to: ExportFormat,
    /// File to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `match`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    astroclip match gz_decals_5.csv sweep.fits --on sky --radius 0.5 --out joined.h5\n  \
    astroclip match redrock-main.fits BGS_ANY_full.provabgs.sv3.v0.hdf5 --on id --out labels.csv\n\n\
    Tables may be CSV (comma, semicolon or tab), FITS (the first binary table), HDF5 (one dataset per \
    column in a group `catalog` or at the root, or a compound dataset) or Parquet; the content says which. \
    Each row gets at most one partner: by position the nearest pairs are made first, by identifier the \
    first row of each counts. The joined table has the matched rows with the columns of both; names that \
    both have get the suffixes _left and _right, and a match by position adds separation_arcsec.")]
pub struct Match {
    /// Left table; the joined rows are in its order.
    pub left: PathBuf,
    /// Right table.
    pub right: PathBuf,
    /// What rows are matched by.
    #[arg(long, value_enum)]
    pub on: Key,
    /// Largest separation on the sky, arcsec.
    #[arg(long, default_value_t = 0.5, value_name = "ARCSEC")]
    pub radius: f64,
    /// Joined table to write: .csv, .h5 or .hdf5.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Identifier column [default: TARGETID, object_id, targetids, objid, id, source_id, whichever there is].
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,
    /// Identifier column of the right table [default: as --id-column].
    #[arg(long, value_name = "NAME")]
    pub right_id_column: Option<String>,
    /// Column of right ascension in both tables, degrees [default: ra, target_ra, … whichever there is].
    #[arg(long, value_name = "NAME", requires = "dec_column")]
    pub ra_column: Option<String>,
    /// Column of declination in both tables, degrees.
    #[arg(long, value_name = "NAME", requires = "ra_column")]
    pub dec_column: Option<String>,
    /// Print the counts as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip inspect\n  astroclip inspect survey.h5 --plot survey.png\n  \
    astroclip inspect runs/tiny-align/model.safetensors\n  astroclip inspect astroclip.ckpt"
)]
pub struct Inspect {
    /// Survey file, embedding file, table, model, checkpoint of a run, or released weights [default: all that the current
    /// folder holds].
    pub file: Option<PathBuf>,
    /// Draw some galaxies of a survey file, pictures and spectra, to this PNG or SVG file.
    #[arg(long, value_name = "PICTURE", requires = "file")]
    pub plot: Option<PathBuf>,
    /// What a survey's galaxies are like.
    #[command(flatten)]
    pub survey: SurveyArg,
    /// How a survey file is read.
    #[command(flatten)]
    pub read: ReadArg,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip check\n  astroclip check survey.h5\n  astroclip check coadds/ --json\n\n\
    A galaxy cannot be used where its image or spectrum holds a NaN or an infinity, a band is missing (zero in \
    more than half of its pixels), the spectrum is zero everywhere, or the file is damaged at its place. Exits with 2 where there is one; `embed` and training leave \
    them out with --skip-bad."
)]
pub struct Check {
    /// Survey files, folders of them, or patterns [default: those of ASTROCLIP_DATA, else the one survey in the current
    /// folder].
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What the galaxies are like.
    #[command(flatten)]
    pub survey: SurveyArg,
    /// How the files are read.
    #[command(flatten)]
    pub read: ReadArg,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `plot` can draw.
#[derive(Debug, Subcommand)]
pub enum PlotTask {
    /// Parts of spectra that are hidden from the encoder, and what it believes to be there (paper Fig. D2).
    #[command(
        after_help = "Examples:\n  astroclip plot reconstruction --out reconstruction.svg\n  \
        astroclip plot reconstruction --weights runs/tiny-specformer/model.safetensors \\\n    \
        --data survey.h5 --out reconstruction.svg"
    )]
    Reconstruction(PlotReconstruction),
    /// What each head of the cross-attention looks at, in spectra or images (paper Fig. D1).
    #[command(
        after_help = "Examples:\n  astroclip plot attention --of spectrum --out attention.svg\n  \
        astroclip plot attention --weights runs/tiny-align/model.safetensors \\\n    \
        --data survey.h5 --of spectrum --out attention.svg"
    )]
    Attention(PlotAttention),
    /// A map of embeddings in two dimensions (t-SNE), coloured by redshift or any column of a table.
    #[command(
        after_help = "Examples:\n  astroclip plot map --out map.png\n  astroclip plot map emb.h5 --of image --out map.png\n  \
        astroclip plot map emb.h5 --labels survey.h5 --colour LOG_MSTAR --out mass.png"
    )]
    Map(PlotMap),
}

/// Arguments of `plot reconstruction`.
#[derive(Debug, Args)]
pub struct PlotReconstruction {
    /// Pretrained spectrum encoder [default: the newest in runs].
    #[arg(long, value_name = "MODEL")]
    pub weights: Option<PathBuf>,
    /// Survey files.
    #[command(flatten)]
    pub data: DataArg,
    /// Picture to write, .svg or .png.
    #[arg(long, value_name = "PICTURE")]
    pub out: PathBuf,
    /// Galaxies to draw, of the test split.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub galaxies: usize,
    /// Parts that are hidden of each spectrum.
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub segments: usize,
    /// Tokens of a hidden part [default: the share of a spectrum that the paper hides].
    #[arg(long, value_name = "TOKENS")]
    pub width: Option<usize>,
    /// Seed of the hidden parts.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `plot attention`.
#[derive(Debug, Args)]
pub struct PlotAttention {
    /// Aligned model [default: the newest in runs].
    #[arg(long, value_name = "MODEL")]
    pub weights: Option<PathBuf>,
    /// Survey files.
    #[command(flatten)]
    pub data: DataArg,
    /// Which of the two transformers' tokens.
    #[arg(long, default_value = "spectrum")]
    pub of: Modality,
    /// Picture to write, .svg or .png.
    #[arg(long, value_name = "PICTURE")]
    pub out: PathBuf,
    /// Galaxies to draw, of the test split.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub galaxies: usize,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `plot map`.
#[derive(Debug, Args)]
pub struct PlotMap {
    /// Embedding file [default: the newest in the current folder].
    pub embeddings: Option<PathBuf>,
    /// Which embeddings.
    #[arg(long, default_value = "image")]
    pub of: Modality,
    /// What the colour shows: redshift, or a column of the tables.
    #[arg(long, default_value = "redshift", value_name = "COLUMN")]
    pub colour: String,
    /// Tables of properties, joined by id.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub labels: Vec<PathBuf>,
    /// Identifier column of the tables.
    #[arg(long, value_name = "NAME", requires = "labels")]
    pub id_column: Option<String>,
    /// Galaxies to draw at most, spread evenly over the file.
    #[arg(long, default_value_t = 5000, value_name = "N")]
    pub galaxies: usize,
    /// Picture to write, .svg or .png.
    #[arg(long, value_name = "PICTURE")]
    pub out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `bench` can measure.
#[derive(Debug, Subcommand)]
pub enum BenchTask {
    /// Reading of a survey file and the crops of image pretraining, without a model.
    #[command(after_help = "Example:\n  astroclip bench data survey.h5\n\n\
        Medians of five runs after one that warms the caches. Reading is sequential, in batches of 64 rows, \
        beside the rate at which the bytes of the file can be read at all; the crops are those of the \
        recipe, made of images in memory, on one thread and on all.")]
    Data(BenchData),
    /// Steps of image pretraining on random crops.
    #[command(
        after_help = "Examples:\n  astroclip bench train-image --device cuda --precision bf16\n  \
        astroclip bench train-image --config tiny-vit --batch-size 32 --steps 2 --phases\n\n\
        Weights and crops are random; reading and augmenting are not measured (see `bench data`), sending the crops \
        to the device is. The median of five rounds of --steps."
    )]
    TrainImage(BenchModel),
    /// Steps of spectrum pretraining on random spectra.
    #[command(
        after_help = "Example:\n  astroclip bench train-spectrum --config tiny-specformer --batch-size 32 --steps 2"
    )]
    TrainSpectrum(BenchModel),
    /// Embedding of random images or spectra that lie on the device.
    #[command(
        after_help = "Example:\n  astroclip bench embed --of spectrum --device cuda --precision bf16 --batch-size 256"
    )]
    Embed(BenchEmbed),
}

/// Arguments of `bench train-image` and `bench train-spectrum`.
#[derive(Debug, Args)]
pub struct BenchModel {
    /// Run file, or the name of a preset [default: vitl-released, specformer].
    #[arg(long, value_name = "NAME|PATH")]
    pub config: Option<String>,
    /// Override one setting; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Galaxies of a step.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    /// Steps of a round.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Steps before the first round.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub warmup: u32,
    /// f32 or bf16.
    #[arg(long, default_value_t = Precision::F32, value_name = "PRECISION")]
    pub precision: Precision,
    /// Measure the phases of a step as well, in further steps that wait for the device after each.
    #[arg(long)]
    pub phases: bool,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench embed`.
#[derive(Debug, Args)]
pub struct BenchEmbed {
    /// What is embedded.
    #[arg(long, default_value = "image")]
    pub of: Modality,
    /// Run file of the transformer, or the name of a preset [default: vitl-released, specformer].
    #[arg(long, value_name = "NAME|PATH")]
    pub config: Option<String>,
    /// Override one setting; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Galaxies that go through the model at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    /// Batches of a round.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Batches before the first round.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub warmup: u32,
    /// f32 or bf16.
    #[arg(long, default_value_t = Precision::F32, value_name = "PRECISION")]
    pub precision: Precision,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench data`.
#[derive(Debug, Args)]
pub struct BenchData {
    /// Survey file.
    pub file: PathBuf,
    /// Galaxies to read, from the start of the file.
    #[arg(long, default_value_t = 2048, value_name = "N")]
    pub galaxies: usize,
    /// Run file of `pretrain-image`, or the name of a preset, whose crops are made.
    #[arg(long, default_value = "vitl", value_name = "NAME|PATH")]
    pub config: String,
    /// Override one setting; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct Config {
    /// What to do with the presets.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What `config` can do.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// List the presets.
    List {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a preset, to be changed and passed back with --config.
    #[command(
        after_help = "Example:\n  astroclip config show tiny-vit > mine.toml\n  \
        astroclip pretrain-image --config mine.toml --data survey.h5"
    )]
    Show {
        /// Name of the preset, with or without .toml.
        name: String,
    },
}
