"""Parts that several pages show: cards, comparisons, filters, exports."""
