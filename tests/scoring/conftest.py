from evaluation_fixtures import model, some_bad, video_folder, videos

__all__ = ["model", "some_bad", "video_folder", "videos"]
