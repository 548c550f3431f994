"""Azure Machine Learning as code: fill in names, check, run the pipelines here, submit them there."""
