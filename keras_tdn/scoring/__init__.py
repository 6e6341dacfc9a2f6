"""The one engine behind evaluation, prediction, explanation and labelling: videos to scores.

A video passes through four steps, each in a file of its own:

1. `views.py`: a record is decoded once, and all of its views (clips in time, crops in space) are
   cut out of the frames. `FrameReader` knows files, folders of frames and packed records;
   `ViewReader` chooses clips and crops. A video that cannot be read is a reason in words; a machine
   that fails (`is_passing`) ends the run.
2. `batches.py`: `view_batches` reads videos by several threads and fills batches of one size across
   videos, so that a view's scores depend on nothing else in its batch; `read_ahead` has the next
   batch ready while the model works. `ViewProcesses` reads in processes instead.
3. `scorer.py`: `Scorer` gives logits or probabilities, and features if they are asked for.
   `with_logits` is the only place that decides which of both a model's scores are, and refuses
   what it cannot tell; `average_views` is the only place that averages.
4. `scoring_run.py`: `score_views` puts the three together for a list and yields what the model
   gives, batch by batch, from any view on. `ViewJournal` keeps what it yields, so that a killed run
   continues behind the last batch.

`ScoringOptions` describes all of it. `center_clip.py` is the short way for one video at hand.
The package knows nothing of reports, rows or pages: those belong to its callers.
"""
