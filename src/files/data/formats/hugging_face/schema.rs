//! What the columns of a Parquet file are called and hold, whatever lists lie between a column and its values.

use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, SchemaDescriptor};

use crate::files::container::parquet_file::{is_half, members};

/// What the values of a leaf are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Floating point of 16, 32 or 64 bits.
    Real,
    /// Unsigned integers of 8 bits, as pictures for the eye have them.
    Byte,
    /// Other integers.
    Integer,
    /// True or false.
    Logical,
    Text,
    /// Bytes that are no text, such as an encoded picture.
    Bytes,
    Other,
}

/// A column of plain values, at the end of structs and lists.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// Its place among the leaves.
    pub index: usize,
    /// Names of the column and of the members of structs down to the values: `spectrum`, `flux`. A list of structs and a
    /// struct of lists have the same.
    pub members: Vec<String>,
    pub descriptor: ColumnDescPtr,
}

impl Leaf {
    /// As messages name it: `spectrum.flux`.
    pub fn name(&self) -> String {
        self.members.join(".")
    }

    /// How many lists lie around a value.
    pub fn lists(&self) -> usize {
        usize::try_from(self.descriptor.max_rep_level()).unwrap_or(0)
    }

    pub fn kind(&self) -> Kind {
        kind(&self.descriptor)
    }
}

fn kind(descriptor: &ColumnDescriptor) -> Kind {
    let logical = descriptor.logical_type_ref();
    let converted = descriptor.converted_type();
    match descriptor.physical_type() {
        Physical::INT32 | Physical::INT64 | Physical::FIXED_LEN_BYTE_ARRAY
            if converted == ConvertedType::DECIMAL =>
        {
            Kind::Other
        }
        Physical::FLOAT | Physical::DOUBLE => Kind::Real,
        Physical::FIXED_LEN_BYTE_ARRAY if is_half(descriptor) => Kind::Real,
        Physical::INT32 if converted == ConvertedType::UINT_8 => Kind::Byte,
        Physical::INT32 | Physical::INT64 => Kind::Integer,
        Physical::BOOLEAN => Kind::Logical,
        Physical::BYTE_ARRAY
            if converted == ConvertedType::UTF8 || logical == Some(&LogicalType::String) =>
        {
            Kind::Text
        }
        Physical::BYTE_ARRAY => Kind::Bytes,
        _ => Kind::Other,
    }
}

/// The leaves of a file, in its order.
#[derive(Debug)]
pub(super) struct Schema(Vec<Leaf>);

impl Schema {
    pub fn of(schema: &SchemaDescriptor) -> Self {
        let leaves = members(schema)
            .into_iter()
            .zip(schema.columns())
            .enumerate();
        let leaves = leaves.map(|(index, (members, descriptor))| Leaf {
            index,
            members,
            descriptor: descriptor.clone(),
        });
        Self(leaves.collect())
    }

    pub fn leaves(&self) -> &[Leaf] {
        &self.0
    }

    /// The leaf of exactly these names.
    pub fn leaf(&self, members: &[&str]) -> Option<&Leaf> {
        self.0.iter().find(|leaf| leaf.members == members)
    }

    /// The leaves of a column.
    pub fn below<'a>(&'a self, column: &'a str) -> impl Iterator<Item = &'a Leaf> {
        self.0.iter().filter(move |leaf| leaf.members[0] == column)
    }

    /// The columns in the order of the file.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = self.0.iter().map(|leaf| leaf.members[0].as_str()).collect();
        columns.dedup();
        columns
    }

    /// The columns with the members of those that are structs, for messages.
    pub fn listed(&self) -> String {
        let columns = self.columns().into_iter().map(|column| {
            let members: Vec<String> = self.below(column).map(inner_name).collect();
            match members[..] {
                [ref only] if only.is_empty() => format!("`{column}`"),
                _ => format!("`{column}` ({})", members.join(", ")),
            }
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    /// What there is in a column, for messages: `band, flux, scale`.
    pub fn members_of(&self, column: &str) -> String {
        self.below(column)
            .map(inner_name)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn inner_name(leaf: &Leaf) -> String {
    leaf.members[1..].join(".")
}
