//! `astroclip config`.

use comfy_table::{Table, presets};
use serde_json::json;

use super::{print, print_json};
use crate::app::cli::{Config, ConfigAction};
use crate::base::error::Result;
use crate::training::config::{PRESETS, find_preset};

pub(super) fn run(args: &Config) -> Result<()> {
    match &args.action {
        ConfigAction::List { json: true } => {
            let list: Vec<_> = PRESETS
                .iter()
                .map(|preset| {
                    json!({
                        "name": preset.name,
                        "command": preset.stage(),
                        "summary": preset.summary(),
                    })
                })
                .collect();
            print_json(&list)
        }
        ConfigAction::List { json: false } => {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING);
            table.set_header(["preset", "command", "what it is"]);
            for preset in PRESETS {
                table.add_row([preset.name, preset.stage(), preset.summary()]);
            }
            print(&format!("{table}\n"))
        }
        ConfigAction::Show { name } => print(find_preset(name)?.text),
    }
}
