//! Properties of aggregates: parts, order, bytes.
