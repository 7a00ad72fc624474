//! What users get wrong is answered in words, and nothing is touched.
