"""Which ATS job an own job is: titles and places in canonical form, retrieval, scoring, calibrated confidence."""
