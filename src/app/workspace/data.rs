//! The survey files of a command that names none.

use std::path::{Path, PathBuf};

use super::runs::recorded_inputs;
use super::{Taken, in_folder, listed};
use crate::base::error::{Error, Result};
use crate::files::data::{ReadOptions, SurveyFiles, holds_galaxies, survey_files_in};
use crate::files::inputs::{InputFiles, Inputs, same_files};
use crate::training::config::DataSection;

/// Environment variable that names survey files, separated as in `PATH`.
pub const DATA_VARIABLE: &str = "ASTROCLIP_DATA";

/// What a command says about its survey files.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// Those that the command line names.
    pub named: &'a [PathBuf],
    /// How the command line says that they are read.
    pub read: ReadOptions,
    /// The run file, and what it says about files.
    pub run_file: Option<(&'a str, &'a DataSection)>,
    /// Models at hand, whose survey is meant where no other is.
    pub models: &'a [PathBuf],
    /// What the command needs of the files, for messages.
    pub needs: &'a str,
}

/// Survey files and label tables of a command.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Survey files.
    pub data: SurveyFiles,
    /// Label tables of the run file, or of the run that made the model.
    pub labels: Vec<PathBuf>,
    /// What was not named on the command line.
    pub taken: Option<Taken>,
}

/// The survey files of a command: those that it names, else those of its run file, else those that the models at hand
/// were trained on, else those of `ASTROCLIP_DATA`, else the one survey in the current folder.
///
/// # Errors
/// Where there are none, where there are several surveys, or the files of a model have changed since: the message says
/// which, and that `--data` names the right ones.
pub fn find_data(wanted: &Wanted<'_>) -> Result<Sources> {
    let section = wanted.run_file.map(|(_, section)| section);
    let mut read = wanted.read.clone();
    read.skip_bad |= section.is_some_and(|section| section.skip_bad);
    // A table of pairs goes with the files that it stands beside.
    if let Some(section) = section
        && read.pairs.is_none()
        && (wanted.named.is_empty() || section.files.is_empty())
    {
        read.pairs = section.pairs.clone();
    }
    let labels = section.map_or_else(Vec::new, |section| section.labels.clone());
    let files = |paths: Vec<PathBuf>, why: Option<String>| Sources {
        taken: why.map(|why| Taken {
            what: "data",
            paths: paths.clone(),
            why,
        }),
        data: SurveyFiles {
            paths,
            read: read.clone(),
        },
        labels: labels.clone(),
    };
    if !wanted.named.is_empty() {
        return Ok(files(wanted.named.to_vec(), None));
    }
    if let Some((origin, section)) = wanted.run_file
        && !section.files.is_empty()
    {
        return Ok(files(
            section.files.clone(),
            Some(format!("as {origin} says")),
        ));
    }
    if let Some(mut sources) = of_models(wanted.models, &read)? {
        if !labels.is_empty() {
            sources.labels = labels;
        }
        return Ok(sources);
    }
    if let Some(value) = std::env::var_os(DATA_VARIABLE).filter(|value| !value.is_empty()) {
        let paths = std::env::split_paths(&value).collect();
        return Ok(files(paths, Some(format!("as {DATA_VARIABLE} says"))));
    }
    match &surveys_in(Path::new("."))[..] {
        [survey] => Ok(files(
            vec![survey.clone()],
            Some(format!("the only survey {}", in_folder(Path::new(".")))),
        )),
        [] => Err(Error::input(format!(
            "no data: no survey file is in the current folder; pass --data FILE with {}, name it in the run file \
             ([data] files = [\"FILE\"]) or in {DATA_VARIABLE}, or make some: \
             astroclip simulate --galaxies 2000 --out survey.h5",
            wanted.needs
        ))),
        several => Err(Error::input(format!(
            "{} surveys are in the current folder: {}; name those that are meant: --data FILE …, or --data . for all",
            several.len(),
            listed(several)
        ))),
    }
}

/// The files that models were trained on, as their run folders say; none where none does.
fn of_models(models: &[PathBuf], read: &ReadOptions) -> Result<Option<Sources>> {
    let mut found: Option<(&PathBuf, PathBuf, Inputs)> = None;
    for model in models {
        let folder = model.parent().unwrap_or(Path::new(""));
        let Some(inputs) = recorded_inputs(folder)? else {
            continue;
        };
        if inputs.data.is_empty() {
            continue;
        }
        match &found {
            None => found = Some((model, folder.to_owned(), inputs)),
            Some((_, _, known))
                if same_files(&known.data, &inputs.data)
                    && same_files(known.pairs.as_slice(), inputs.pairs.as_slice()) => {}
            Some((other, home, known)) => {
                let places = |home: &Path, data: &[InputFiles]| -> Vec<PathBuf> {
                    data.iter().map(|files| files.place(home)).collect()
                };
                return Err(Error::input(format!(
                    "{} was trained on {}, {} on {}; name the files that are meant: --data FILE …",
                    other.display(),
                    listed(&places(home, &known.data)),
                    model.display(),
                    listed(&places(folder, &inputs.data)),
                )));
            }
        }
    }
    let Some((model, home, inputs)) = found else {
        return Ok(None);
    };
    let remedy = format!(
        "{} was trained on it; name the files that are meant: --data FILE …",
        model.display()
    );
    let paths = unchanged(&inputs.data, &home, &remedy)?;
    let says_nothing = ReadOptions {
        skip_bad: read.skip_bad,
        ..ReadOptions::default()
    };
    Ok(Some(Sources {
        taken: Some(Taken {
            what: "data",
            paths: paths.clone(),
            why: format!("what {} was trained on", model.display()),
        }),
        data: SurveyFiles {
            paths,
            read: ReadOptions {
                skip_bad: read.skip_bad || inputs.read.skip_bad,
                ..match *read == says_nothing {
                    true => read_as_recorded(&inputs, &home, &remedy)?,
                    false => read.clone(),
                }
            },
        },
        labels: inputs
            .labels
            .iter()
            .map(|files| files.place(&home))
            .collect(),
    }))
}

/// How recorded files were read, with the table that paired them where it is now.
///
/// # Errors
/// As [`unchanged`].
pub(super) fn read_as_recorded(inputs: &Inputs, home: &Path, remedy: &str) -> Result<ReadOptions> {
    Ok(ReadOptions {
        pairs: unchanged(inputs.pairs.as_slice(), home, remedy)?.pop(),
        ..inputs.read.clone()
    })
}

/// Where recorded files are now.
///
/// # Errors
/// Where one is gone or has changed; `remedy` says why it was looked at and what to do.
pub(super) fn unchanged(
    recorded: &[InputFiles],
    home: &Path,
    remedy: &str,
) -> Result<Vec<PathBuf>> {
    let check = |files: &InputFiles| {
        let place = files.place(home);
        let checked = files.check(&place);
        checked
            .map(|()| place)
            .map_err(|error| error.and(format!("; {remedy}")))
    };
    recorded.iter().map(check).collect()
}

/// The survey in a folder, where there is exactly one.
pub fn only_survey(folder: &Path) -> Option<PathBuf> {
    let mut surveys = surveys_in(folder);
    surveys.pop().filter(|_| surveys.is_empty())
}

/// The survey files in a folder, without those in folders within.
pub(super) fn surveys_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = survey_files_in(folder);
    files.retain(|path| holds_galaxies(path));
    files
}
