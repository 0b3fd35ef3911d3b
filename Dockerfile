# Livermore for compose.yaml: one image for the web server, the agent, `serve` and single commands.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/livermore
# Files of history need more than all the rest: requirements-history.txt
ARG REQUIREMENTS=requirements.txt
COPY requirements.txt requirements-history.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check -r "$REQUIREMENTS"
COPY . .
RUN python -m compileall -q livermore exchanges warmup history serving alerts \
    && useradd --system --uid 10001 livermore \
    && install --directory --owner livermore --mode 700 var/history
USER livermore
CMD ["python", "manage.py", "agent"]
