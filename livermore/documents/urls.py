"""The addresses of the documents, below /docs/."""

from django.urls import path

from livermore.documents import views as documents

app_name = "docs"

urlpatterns = [
    path("", documents.contents, name="contents"),
    path("images/<str:name>", documents.image, name="image"),
    path("<str:name>/", documents.document, name="document"),
]
