"""The one engine behind evaluation, prediction, explanation and labelling: videos to scores.

1. `views.py`: a record is decoded once, and all of its views (clips in time, crops in space) are
   cut out of the frames: by `ViewReader` in threads, by `ViewProcesses` in processes. A video that
   cannot be read is a reason in words; a machine that fails (`is_passing`) ends the run.
2. `scorer.py`: `Scorer` gives logits or probabilities, and features if they are asked for. Only
   `with_logits` decides which of both a model's scores are, and only `average_views` averages.
3. `scoring_run.py`: `score_views` fills batches of one size across the videos of a list, so that a
   view's scores depend on nothing else, while the next are read, and yields what the model gives.
   `ViewJournal` keeps it, so that a killed run continues behind the last batch.

`ScoringOptions` describes all of it. `center_clip.py` is the short way for one video at hand.
"""
