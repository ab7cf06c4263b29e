//! A page of sections with tables and figures, and the figures as files beside it.

use std::path::{Path, PathBuf};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::data::Highlight;
use super::panel::Panel;
use super::raster::write_drawing;
use crate::base::error::{Error, Result};
use crate::base::output::write_whole;

/// Letters of a figure's name at most: four bytes each, and an ending, are a name on every file system.
const LONGEST_NAME: usize = 60;

/// How a page says whose it is.
const MADE_BY: &str = "Made by astroclip";

const STYLE: &str = include_str!("page.css");

/// A page.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// Heading.
    pub title: String,
    /// A sentence or two below it.
    pub lead: String,
    /// The command line that made the page; may be empty.
    pub command: String,
    /// The few numbers that a reader should take away, shown large.
    pub highlights: Vec<Highlight>,
    /// What follows.
    pub sections: Vec<Section>,
}

/// A part of a page.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// Paragraphs below it.
    pub text: Vec<String>,
    /// What it shows.
    pub blocks: Vec<Block>,
}

/// A table, a figure or another part of a page.
#[derive(Debug, Clone)]
pub enum Block {
    /// A table.
    Table(TextTable),
    /// A figure, which is a file beside the page too.
    Figure(Figure),
    /// A part that stands in the page alone.
    Panel(Panel),
}

/// A table of words and numbers, as they are to be read.
#[derive(Debug, Clone, Default)]
pub struct TextTable {
    /// What it shows, above it.
    pub title: String,
    /// Headings.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<TextRow>,
    /// What the columns mean, below it.
    pub note: String,
}

/// A row of a table.
#[derive(Debug, Clone)]
pub struct TextRow {
    /// What the row is.
    pub kind: RowKind,
    /// As many cells as columns; only the first of a heading counts.
    pub cells: Vec<String>,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A heading over the rows that follow.
    Heading,
    /// Measured here.
    Measured,
    /// From the paper, to compare with.
    Paper,
}

/// A drawing with its caption.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Name of its files, without ending.
    pub name: String,
    /// What is seen.
    pub caption: String,
    /// A drawing that stands alone.
    pub svg: String,
}

impl Document {
    /// The folder beside a page in which its figures lie.
    pub fn figures_beside(path: &Path) -> PathBuf {
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push("-figures");
        path.with_file_name(name)
    }

    /// Writes the page to `NAME.html`, and every figure, where there is one, as SVG and PNG into `NAME-figures` beside
    /// it.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let folder = Self::figures_beside(path);
        if self.figures().next().is_some() {
            std::fs::create_dir_all(&folder).map_err(|source| Error::writing(&folder, source))?;
        }
        let mut names = Vec::new();
        for figure in self.figures() {
            // Names of models are in them, which files choose.
            let mut name = within_folder(&figure.name);
            let namesakes = names.iter().filter(|known| **known == name).count();
            names.push(name.clone());
            if namesakes > 0 {
                name += &format!("-{}", namesakes + 1);
            }
            for ending in ["svg", "png"] {
                write_drawing(&figure.svg, &folder.join(format!("{name}.{ending}")))?;
            }
        }
        write_whole(path, self.html().as_bytes())
    }

    fn figures(&self) -> impl Iterator<Item = &Figure> {
        let blocks = self.sections.iter().flat_map(|section| &section.blocks);
        blocks.filter_map(|block| match block {
            Block::Figure(figure) => Some(figure),
            Block::Table(_) | Block::Panel(_) => None,
        })
    }

    /// The page as HTML that needs no other file.
    pub fn html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        h1 { (self.title) }
                        p.lead { (self.lead) }
                        @if !self.command.is_empty() { p.command { code { (self.command) } } }
                        @if !self.highlights.is_empty() {
                            dl.highlights {
                                @for highlight in &self.highlights {
                                    div {
                                        dt { (highlight.label) }
                                        dd.value { (highlight.value) }
                                        dd { (highlight.note) }
                                    }
                                }
                            }
                        }
                    }
                    main {
                        @for section in &self.sections {
                            section {
                                h2 { (section.title) }
                                @for text in &section.text { p { (words(text)) } }
                                @for block in &section.blocks { (block.html()) }
                            }
                        }
                    }
                    footer {
                        p {
                            (MADE_BY) " " (env!("CARGO_PKG_VERSION")) ". Paper: Parker et al. 2024, "
                            "“AstroCLIP: a cross-modal foundation model for galaxies”, MNRAS 531, 4990."
                        }
                    }
                }
            }
        };
        page.into_string()
    }
}

/// A name as that of a file in a folder: what would lead out of it, hide it or be too long is not in it.
fn within_folder(name: &str) -> String {
    let kept = name.trim_start_matches('.').chars().take(LONGEST_NAME);
    let safe = |letter: char| match letter.is_alphanumeric() || "-_.+".contains(letter) {
        true => letter,
        false => '-',
    };
    match kept.map(safe).collect() {
        nothing if String::is_empty(&nothing) => "figure".to_owned(),
        name => name,
    }
}

/// Whether a file is a page of ours.
pub fn is_page(path: &Path) -> bool {
    let page = std::fs::read(path).unwrap_or_default();
    let mut words = page.windows(MADE_BY.len());
    page.starts_with(b"<!DOCTYPE html>") && words.any(|word| word == MADE_BY.as_bytes())
}

/// Text with names in backticks set as code.
fn words(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

impl Block {
    fn html(&self) -> Markup {
        match self {
            Self::Table(table) => table.html(),
            Self::Panel(panel) => panel.0.clone(),
            Self::Figure(figure) => html! {
                figure.drawing id=(figure.name) {
                    (PreEscaped(&figure.svg))
                    figcaption { (figure.caption) }
                }
            },
        }
    }
}

impl TextTable {
    fn html(&self) -> Markup {
        html! {
            @if !self.title.is_empty() { h3 { (self.title) } }
            div.table { table.scores {
                thead { tr { @for column in &self.columns { th scope="col" { (column) } } } }
                tbody {
                    @for row in &self.rows {
                        @match row.kind {
                            RowKind::Heading => tr.source {
                                th colspan=(self.columns.len()) scope="rowgroup" { (row.cells[0]) }
                            },
                            kind => tr.paper[kind == RowKind::Paper] {
                                @for (index, cell) in row.cells.iter().enumerate() {
                                    @if index == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                                }
                            },
                        }
                    }
                }
            } }
            @if !self.note.is_empty() { p.note { (words(&self.note)) } }
        }
    }
}
