"""The unit of a score: log odds that read as a standardized return."""

from __future__ import annotations

SCORE_SLOPE = 1.702
"""The normal distribution is within 0.01 of a logistic curve of this slope (D. Haley, Estimation of the Dosage
Mortality Relationship When the Dose Is Subject to Error, 1952): log odds divided by it are a score that reads
as a standardized return."""
