//! The report of a run: one HTML page that holds everything it shows, for a browser or for print.
//!
//! A page is a [`Document`] of plain numbers; what made them is of no concern here. It needs neither network nor
//! scripts: plots are inline SVG, pictures embedded PNG.

mod attention;
mod bins;
mod corner;
mod coverage;
mod curves;
mod data;
mod document;
mod embedding_map;
mod figure;
mod gallery;
mod panel;
pub(crate) mod paper;
mod picture;
mod plot;
mod radar;
mod raster;
mod reconstruction;
mod retrieval;
mod scatter;
mod search_grid;
mod spectra;
mod table;

pub use bins::{BinPanel, BinPoint, BinSeries, bins};
pub use corner::{CornerAxis, corner};
pub use coverage::{Coverage, coverage, pit};
pub use data::{
    Better, Direction, Family, Galaxy, Highlight, LossCurve, Neighbour, Query, Retrieval,
    RetrievalRow, RetrievalScores, ScatterGroup, ScatterPanel, ScoreColumn, ScoreGroup, ScoreRow,
    ScoreTable, Series, Timing,
};

pub use attention::{ImageAttention, SpectrumAttention, image_attention, spectrum_attention};
pub use document::{Block, Document, Figure, RowKind, Section, TextRow, TextTable, is_page};
pub use embedding_map::{MapPoint, embedding_map};
pub use gallery::{Exhibit, gallery};
pub use panel::{LinkedRow, Panel};
pub use picture::png as rgb_png;
pub use plot::count;
pub use radar::{RadarSeries, radar};
pub use raster::{check_picture_name, is_drawing, write_drawing};
pub use reconstruction::{Reconstruction, reconstruction};
pub use scatter::{redshift_scatter, scatter};
pub use search_grid::search_grid;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ndarray::Array3;

    use super::*;

    fn page(title: &str, panels: Vec<Panel>) -> Document {
        Document {
            title: title.to_owned(),
            sections: vec![Section {
                blocks: panels.into_iter().map(Block::Panel).collect(),
                ..Section::default()
            }],
            ..Document::default()
        }
    }

    fn galaxy(id: i64) -> Galaxy {
        Galaxy {
            id: id.into(),
            redshift: Some(0.123),
            picture: Array3::from_elem((3, 20, 20), 0.5),
            spectrum: (0..50).map(|pixel| (pixel % 7) as f32).collect(),
        }
    }

    fn retrieval() -> Retrieval {
        let found = |galaxy| Neighbour {
            galaxy,
            similarity: 0.876,
        };
        Retrieval {
            galaxies: vec![galaxy(11), galaxy(22)],
            queries: vec![Query {
                galaxy: 0,
                label: "<i>red</i>".to_owned(),
                show_spectra: true,
                neighbours: std::array::from_fn(|_| vec![found(1), found(0)]),
            }],
            wavelengths: (0..50)
                .map(|pixel| 3600.0 + 100.0 * f64::from(pixel))
                .collect(),
            pixel_scale: 0.262,
        }
    }

    fn panel(truth: Vec<f64>, predicted: Vec<f64>) -> ScatterGroup {
        let panels = vec![ScatterPanel {
            title: "AstroCLIP".to_owned(),
            family: Family::Aligned,
            r2: 0.7142,
            truth,
            predicted,
        }];
        ScatterGroup {
            title: "From images".to_owned(),
            panels,
        }
    }

    fn table(rows: [[Option<f64>; 2]; 2]) -> ScoreTable {
        let column = |name: &str, better| ScoreColumn {
            name: name.to_owned(),
            better,
            decimals: 2,
        };
        ScoreTable {
            columns: vec![
                column("t_age", Better::Higher),
                column("bias", Better::NearZero),
            ],
            note: "Scatter of the residual.".to_owned(),
            groups: vec![ScoreGroup {
                source: "Images".to_owned(),
                rows: rows
                    .map(|values| ScoreRow {
                        method: "k-NN".to_owned(),
                        family: Family::Aligned,
                        values: values.to_vec(),
                    })
                    .to_vec(),
            }],
        }
    }

    fn curve(points: Vec<(f64, f64)>) -> LossCurve {
        LossCurve {
            stage: "Alignment".to_owned(),
            note: String::new(),
            terms: vec![Series {
                name: "InfoNCE".to_owned(),
                points,
            }],
        }
    }

    #[test]
    fn page_is_self_contained_and_holds_its_numbers() {
        let scores = table([[Some(0.41), Some(-0.2)], [Some(0.38), Some(0.1)]]);
        let losses = curve((0..200).map(|step| (f64::from(step), 4.0)).collect());
        let panels = vec![
            Panel::pictures(&retrieval()).unwrap(),
            Panel::spectra(&retrieval()).unwrap(),
            Panel::redshifts(&panel(vec![0.1, 0.2, 0.3], vec![0.12, 0.19, 0.28])).unwrap(),
            Panel::scores(&scores),
            Panel::losses(&[losses]).unwrap(),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        page("Run <1> & \"more\"", panels).write(&path).unwrap();
        let page = std::fs::read_to_string(&path).unwrap();
        for foreign in ["http:", "https:", "<script", "<link", "@import", "url("] {
            assert!(!page.contains(foreign), "the page refers to {foreign}");
        }
        assert_eq!(
            page.matches("src=").count(),
            page.matches("src=\"data:image/png;base64,").count()
        );
        assert!(page.contains("Run &lt;1&gt; &amp;") && !page.contains("<i>red</i>"));
        for shown in [
            "0.71",
            "cos 0.88",
            "z = 0.123",
            "t<sub>age</sub>",
            "<b>0.41</b>",
            "<td>−0.20</td>",
            "Scatter of the residual.",
            "<b>0.10</b>",
        ] {
            assert!(page.contains(shown), "{shown} is missing");
        }
        // The query itself, once in each of the four directions.
        assert_eq!(page.matches("class=\"tile itself\"").count(), 4);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn figures_stay_in_their_folder_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let long = "x".repeat(400);
        let figures = ["../up", "/etc/x", ".", "a b", "a/b", &long].map(|name| {
            Block::Figure(Figure {
                name: name.to_owned(),
                caption: String::new(),
                svg: "<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>".to_owned(),
            })
        });
        let mut page = page("", Vec::new());
        page.sections[0].blocks = figures.to_vec();
        page.write(&path).unwrap();
        let names = |folder: &std::path::Path| {
            let entries = std::fs::read_dir(folder).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<std::collections::BTreeSet<String>>()
        };
        assert_eq!(
            names(folder.path()),
            ["page-figures", "page.html"].map(str::to_owned).into()
        );
        let found = names(&Document::figures_beside(&path));
        let expected = ["-up", "-etc-x", "figure", "a-b", "a-b-2", &long[..60]];
        let expected = expected.map(|name| ["svg", "png"].map(|end| format!("{name}.{end}")));
        assert_eq!(found, expected.into_iter().flatten().collect());
        assert!(is_page(&path) && is_drawing(&folder.path().join("page-figures/a-b.png")));
    }

    #[test]
    fn nan_and_empty_input_break_no_plot() {
        let mut blank = retrieval();
        blank.galaxies[1].spectrum.fill(f32::NAN);
        blank.galaxies[1].redshift = None;
        blank.galaxies[0].spectrum.fill(1.0);
        blank.galaxies[0].picture.fill(f32::NAN);
        let found = RetrievalScores {
            pool: 0,
            rows: vec![RetrievalRow {
                direction: Direction::ImageToSpectrum,
                recall: vec![(10, f64::NAN)],
                median_rank: f64::NAN,
            }],
        };
        let losses = [
            curve(vec![]),
            curve(vec![(1.0, f64::NAN)]),
            curve(vec![(1.0, 3.0)]),
            curve(vec![(1.0, 3.0), (2.0, f64::INFINITY), (3.0, 3.0)]),
            curve((0..500).map(|step| (f64::from(step), 0.0)).collect()),
        ];
        let stage = Timing {
            stage: "embed".to_owned(),
            seconds: f64::NAN,
        };
        let mut panels = vec![
            Panel::pictures(&blank).unwrap(),
            Panel::spectra(&blank).unwrap(),
            Panel::retrieval(&found),
            Panel::scores(&table([[None, Some(f64::NAN)], [Some(0.5), None]])),
            Panel::losses(&losses).unwrap(),
            Panel::run(&[stage], &[]),
        ];
        for group in [
            panel(vec![], vec![]),
            panel(vec![f64::NAN, 0.1], vec![0.1, f64::INFINITY]),
            panel(vec![0.2], vec![0.2]),
            panel(vec![0.2; 5], vec![-900.0, 0.2, 0.2, 0.2, 900.0]),
        ] {
            panels.push(Panel::redshifts(&group).unwrap());
        }
        for page in [page("", panels).html(), Document::default().html()] {
            assert!(
                !page.contains("NaN") && !page.contains("inf\"") && !page.contains("-2147483648")
            );
        }
    }

    #[test]
    fn search_result_without_its_galaxy_is_refused() {
        let mut broken = retrieval();
        broken.queries[0].neighbours[2][0].galaxy = 2;
        let message = Panel::pictures(&broken).unwrap_err().to_string();
        assert!(message.contains("galaxy 2; there are 2"), "{message}");
    }

    #[test]
    fn a_picture_keeps_its_places_and_colours() {
        let mut picture = Array3::zeros((3, 4, 6));
        picture.slice_mut(ndarray::s![0, ..2, ..]).fill(1.0);
        picture.slice_mut(ndarray::s![.., 3, 5]).fill(0.5);
        let bytes = picture::png(picture.view()).unwrap();
        let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (6, 4));
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let pixel = |x: usize, y: usize| &pixels[3 * (y * 6 + x)..][..3];
        assert_eq!(pixel(5, 1), [255, 0, 0]);
        assert_eq!(pixel(0, 3), [0, 0, 0]);
        assert_eq!(pixel(5, 3), [128, 128, 128]);
        assert!(picture::png(Array3::zeros((2, 4, 4)).view()).is_err());
        assert!(picture::png(Array3::zeros((3, 0, 4)).view()).is_err());
    }

    #[test]
    fn thumbnail_averages_the_centre() {
        let image = Array3::from_shape_fn((3, 12, 12), |(_, y, x)| {
            if (3..9).contains(&y) && (3..9).contains(&x) {
                (x % 2) as f32
            } else {
                9.0
            }
        });
        let small = picture::thumbnail(image.view(), 0.5, 4);
        assert_eq!(small.dim(), (3, 4, 4));
        // Six pixels to four: each is one whole pixel and half of the next.
        assert!((small[[0, 0, 0]] - 1.0 / 1.5).abs() < 1e-6);
        assert!((small.mean().unwrap() - 0.5).abs() < 1e-6);
        assert_eq!(picture::thumbnail(image.view(), 1.0, 64).dim(), (3, 12, 12));
    }
}
