# Livermore for compose.yaml: one image for the web server, the agent, `serve` and single commands.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/livermore
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY . .
RUN python -m compileall -q livermore exchanges warmup history serving \
    && useradd --system --uid 10001 livermore
USER livermore
CMD ["python", "manage.py", "agent"]
