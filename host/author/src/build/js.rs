//! Building policies in JavaScript.
